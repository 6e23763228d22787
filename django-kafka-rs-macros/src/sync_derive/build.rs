//! From the derive's input to what was declared.

use syn::ext::IdentExt;
use syn::{Data, DeriveInput, Fields, FieldsNamed, Path};

use super::{Declared, Derive, check};
use crate::attr::diesel::{DieselField, DieselStruct, default_table};
use crate::attr::reroute::Reroute;
use crate::attr::sync::{self, FieldOptions, RelationArguments};
use crate::ctx::Ctx;
use crate::diag;
use crate::model::field::{Column, Source};
use crate::model::sync_model::{Model, Relation, SyncTopic, Targets};
use crate::model::sync_options::SyncOptions;
use crate::symbol::KAFKA_SKIP;

/// What was read, as far as it could be.
pub(super) struct Built {
    /// `crate = path`.
    pub(super) runtime: Option<Path>,
    /// Whether the struct is a model rather than a unit topic; for stubs.
    pub(super) is_model: bool,
    /// `None` where a mistake prevents it.
    pub(super) declared: Option<Declared>,
}

pub(super) fn read(ctx: &Ctx, derive: Derive, input: &DeriveInput) -> Built {
    let options = sync::container(ctx, &input.attrs);
    let runtime = options.runtime.clone();
    let fields = match &input.data {
        Data::Struct(data) => Some(&data.fields),
        Data::Enum(_) | Data::Union(_) => None,
    };
    let is_model = derive == Derive::SyncModel || !matches!(fields, Some(Fields::Unit));
    check::no_generics(ctx, derive, input);
    let declared = match fields {
        Some(Fields::Named(fields)) => Some(Declared::Model(model(ctx, derive, input, fields, options))),
        Some(Fields::Unit) if derive != Derive::SyncModel => topic(ctx, derive, input, options).map(Declared::Topic),
        Some(Fields::Unit | Fields::Unnamed(_)) | None => {
            check::refuse_shape(ctx, derive, input);
            None
        }
    };
    Built { runtime, is_model, declared }
}

fn topic(ctx: &Ctx, derive: Derive, input: &DeriveInput, options: SyncOptions) -> Option<SyncTopic> {
    let reroute = Reroute::read(ctx, &input.attrs);
    check::options(ctx, derive, &options);
    check::topic_options(ctx, &options);
    let targets = match (&options.model, reroute) {
        (Some(model), Some(_)) => {
            let message = "`model` and `#[reroute(…)]` both say which model the messages write";
            let help = "leave one out; `#[reroute(…)]` is for topics that carry several tables";
            ctx.error(model, diag::help(message, help));
            None
        }
        (Some(model), None) => Some(Targets::One(model.clone())),
        (None, Some(reroute)) => {
            check::rerouted_options(ctx, &options);
            Some(Targets::Reroute(reroute.routes))
        }
        (None, None) => {
            // What could not be read may have been it.
            if !ctx.has_errors() {
                check::refuse_without_model(ctx, derive, input);
            }
            None
        }
    };
    Some(SyncTopic { ident: input.ident.clone(), targets: targets?, options })
}

fn model(ctx: &Ctx, derive: Derive, input: &DeriveInput, fields: &FieldsNamed, options: SyncOptions) -> Model {
    check::options(ctx, derive, &options);
    check::model_options(ctx, input, &options, Reroute::read(ctx, &input.attrs).as_ref());
    let mut diesel = DieselStruct::read(ctx, &input.attrs);
    let table = diesel.table.take().unwrap_or_else(|| default_table(&input.ident));
    let mut columns = Vec::new();
    let mut left_out = Vec::new();
    let mut relations = Vec::new();
    for field in &fields.named {
        match column(ctx, derive, &options, field) {
            Some((column, relation)) => {
                relations.extend(relation.map(|said| relation_of(columns.len(), said)));
                columns.push(column);
            }
            None => left_out.extend(field.ident.clone()),
        }
    }
    check::auto_relations(ctx, &options, &diesel.belongs_to, &columns, &mut relations);
    check::columns(ctx, &columns);
    let key = diesel.primary_key.unwrap_or_else(|| vec![syn::Ident::new("id", input.ident.span())]);
    let mut model = Model {
        ident: input.ident.clone(),
        table,
        fields: fields.named.iter().filter_map(|field| field.ident.clone()).collect(),
        primary_key: check::primary_key(ctx, input, &options, &key, &columns, &left_out),
        columns,
        relations,
        options,
    };
    for index in check::lookup(ctx, &model, &left_out) {
        if let Some(column) = model.columns.get_mut(index) {
            column.in_lookup = true;
        }
    }
    model
}

fn relation_of(column: usize, RelationArguments { model, field }: RelationArguments) -> Relation {
    Relation { column, parent: model, field }
}

/// A field's column, and the relation that it is; `None` where a sync leaves the field out.
fn column(
    ctx: &Ctx,
    derive: Derive,
    options: &SyncOptions,
    field: &syn::Field,
) -> Option<(Column, Option<RelationArguments>)> {
    let ident = field.ident.clone()?;
    let diesel = DieselField::read(ctx, &field.attrs);
    let sync = FieldOptions::read(ctx, &field.attrs);
    check::field_options(ctx, &sync);
    if sync.skip.is_some() {
        return None;
    }
    check::diesel_field(ctx, &ident, &diesel, &sync);
    check::mark(ctx, diesel.column.as_ref().unwrap_or(&ident), &sync);
    let name = ident.unraw().to_string();
    let message_field = sync.from.as_ref().map_or_else(|| name.clone(), syn::LitStr::value);
    let excluded = options.exclude.iter().find(|excluded| excluded.name == message_field);
    let insert_default = sync.default.is_some();
    let sql_name = diesel.column.unwrap_or_else(|| ident.clone());
    let mut scale_by_schema = None;
    let source = match (sync.compute, excluded) {
        _ if sql_name.unraw() == KAFKA_SKIP => Source::Mark,
        (Some((_, function)), _) => Source::Compute(function),
        (None, Some(excluded)) => {
            let reads = [sync.from.is_some(), sync.with.is_some(), sync.encoding.is_some()];
            check::excluded_field(ctx, excluded, &name, reads);
            sync.default?;
            Source::DefaultOnly
        }
        (None, None) => {
            if sync.with.is_none() && sync.encoding.is_none() && !sync.faulty {
                scale_by_schema = check::decimal(ctx, derive, &field.ty);
            }
            Source::Message {
                field: message_field,
                said: sync.from,
                encoding: sync.encoding.map(|(_, encoding)| encoding),
                with: sync.with.map(|(_, path)| path),
            }
        }
    };
    let column = Column {
        name,
        ty: field.ty.clone(),
        serialize_as: diesel.serialize_as,
        sql_name,
        ident,
        source,
        insert_default,
        in_lookup: false,
        scale_by_schema,
    };
    Some((column, sync.relation.map(|(_, relation)| relation)))
}
