//! The rules across options, each with its reason in its message.

use proc_macro2::{Ident, TokenStream};
use quote::ToTokens;
use syn::ext::IdentExt;
use syn::{DeriveInput, GenericArgument, PathArguments, Type};

use super::Derive;
use crate::attr::diesel::{BelongsTo, DieselField};
use crate::attr::reroute::Reroute;
use crate::attr::sync::FieldOptions;
use crate::ctx::Ctx;
use crate::diag;
use crate::model::field::{Column, Source};
use crate::model::sync_model::{Model, Relation};
use crate::model::sync_options::{MessageField, Relations, SyncOptions};
use crate::symbol::{AS, COMPUTE, DEFAULT, FROM, KAFKA_SKIP, RELATION, SKIP, WITH};

/// Diesel's tables end there, and so does a set of columns.
const COLUMNS_MAX: usize = 128;

/// A model or topic is one thing for the whole program.
pub(super) fn no_generics(ctx: &Ctx, derive: Derive, input: &DeriveInput) {
    if !input.generics.params.is_empty() {
        let message = format!("`{}` cannot be derived on a struct with generic or lifetime parameters", derive.name());
        let note = "it is registered once for the program, and its rows are owned: they outlive the message";
        ctx.error(&input.generics, diag::note(message, note));
    }
}

/// On what the derive cannot stand.
pub(super) fn refuse_shape(ctx: &Ctx, derive: Derive, input: &DeriveInput) {
    let (name, ident) = (derive.name(), &input.ident);
    let what = match &input.data {
        syn::Data::Enum(_) => "an enum",
        syn::Data::Union(_) => "a union",
        syn::Data::Struct(data) if matches!(data.fields, syn::Fields::Unit) => "a struct without fields",
        syn::Data::Struct(_) => "a tuple struct",
    };
    let message = format!("`{name}` is derived on a model, and `{ident}` is {what}");
    let help = match what {
        "a struct without fields" => {
            "give it the table's columns as fields; a topic without fields derives `DbzConsumer` or \
             `ModelTopicConsumer` and names its model: `#[sync(model = …)]`"
                .to_owned()
        }
        _ => format!("write `struct {ident} {{ id: i64, … }}`: fields have the names of the table's columns"),
    };
    ctx.error(ident, diag::help(message, help));
}

/// A unit topic that says nothing of models.
pub(super) fn refuse_without_model(ctx: &Ctx, derive: Derive, input: &DeriveInput) {
    let message = format!("`{}` does not say which model its messages write", input.ident);
    let help = match derive {
        Derive::DbzConsumer => {
            "write `#[sync(model = Customer)]`, or `#[reroute(\"public.customers\" => Customer)]` for a topic that \
             carries several tables, below the derive"
        }
        Derive::SyncModel | Derive::ModelTopicConsumer => "write `#[sync(model = Customer)]` below the derive",
    };
    ctx.error(&input.ident, diag::help(message, help));
}

/// Options that exclude each other, wherever they stand.
pub(super) fn options(ctx: &Ctx, derive: Derive, options: &SyncOptions) {
    if let (Some(_), Some(path)) = (&options.lookup, &options.lookup_with) {
        let message = "`lookup` and `lookup_with` both say how rows are found";
        ctx.error(path, diag::help(message, "leave one out; `lookup_with` is for what `lookup(field, …)` cannot say"));
    }
    if let (Some(_), Some(name)) = (&options.is_deletion, &options.deleted_field) {
        let message = "`is_deletion` and `deleted_field` both say which messages delete";
        ctx.error(name, diag::help(message, "leave one out; `is_deletion` can read the field by `cx.value()`"));
    }
    if let Relations { auto: Some(_), with: Some((name, _)) } = &options.relations {
        let message = "`relations` and `relations_with` both say to which rows a message refers";
        let help = "leave one out; with `relations_with`, the function gives all of them";
        ctx.error(name, diag::help(message, help));
    }
    if let (Derive::ModelTopicConsumer, Some((_, name))) = (derive, &options.envelope) {
        let message = "`envelope` is about Debezium's envelopes, and `ModelTopicConsumer` does not know these";
        ctx.error(name, diag::help(message, "derive `DbzConsumer` instead, or leave `envelope` out"));
    }
    for (i, field) in options.exclude.iter().enumerate() {
        if let Some(first) = options.exclude.iter().take(i).find(|other| other.name == field.name) {
            ctx.error_at(field.span, diag::duplicate(&field.name, first.span));
        }
    }
    let lookup = options.lookup.as_deref().unwrap_or_default();
    for (i, entry) in lookup.iter().enumerate() {
        if let Some(first) = lookup.iter().take(i).find(|other| other.field == entry.field) {
            ctx.error(&entry.field, diag::duplicate(&entry.field, first.field.span()));
        }
    }
    let mut whole = lookup.iter().filter(|entry| entry.whole_key);
    if let (Some(first), Some(second)) = (whole.next(), whole.next()) {
        let message = format!("the whole key cannot be both `{}` and `{}`", first.field, second.field);
        ctx.error(&second.field, diag::help(message, "name fields of the key: `lookup(a, b)`"));
    }
}

/// What only a unit topic can say.
pub(super) fn model_options(ctx: &Ctx, input: &DeriveInput, options: &SyncOptions, reroute: Option<&Reroute>) {
    let ident = &input.ident;
    if let Some(model) = &options.model {
        let message = format!("`model` names the model of a topic without fields, and `{ident}` is a model itself");
        let help = format!("leave it out; or declare the topic apart: `#[sync(model = {ident})] struct …;`");
        ctx.error(model, diag::help(message, help));
    }
    if let Some(reroute) = reroute {
        let message = format!("`#[reroute(…)]` stands on a topic without fields, and `{ident}` is a model itself");
        let help = format!("declare the topic apart, with `{ident}` as one of its models, and derive `SyncModel` here");
        ctx.error(&reroute.path, diag::help(message, help));
    }
}

/// What only a model can say.
pub(super) fn topic_options(ctx: &Ctx, options: &SyncOptions) {
    if let Some(name) = &options.relations.auto {
        let message = "`relations(auto)` goes by the `belongs_to` of a model, and this is a topic without fields";
        let help =
            "write it on the model: `#[sync(relations(auto))]`; or name a function here: `relations_with = path`";
        ctx.error(name, diag::help(message, help));
    }
}

/// The relations of `belongs_to`, where `relations(auto)` asks for them. What a field says goes before.
pub(super) fn auto_relations(
    ctx: &Ctx,
    options: &SyncOptions,
    belongs_to: &[BelongsTo],
    columns: &[Column],
    relations: &mut Vec<Relation>,
) {
    let Some(auto) = &options.relations.auto else { return };
    if belongs_to.is_empty() {
        let message = "`relations(auto)` goes by `#[diesel(belongs_to(…))]`, and this model has none";
        let help = "write `#[diesel(belongs_to(Customer))]`, or say it on the field: `#[sync(relation(Customer))]`";
        ctx.error(auto, diag::help(message, help));
    }
    for BelongsTo { parent, column } in belongs_to {
        let Some(index) = columns.iter().position(|c| c.sql_name == *column) else {
            let message = format!("`belongs_to` refers by column `{column}`, which no field of this model writes");
            let help = "add the field, or name the column: `#[diesel(belongs_to(…, foreign_key = column))]`";
            ctx.error(column, diag::help(message, help));
            continue;
        };
        if !relations.iter().any(|relation| relation.column == index) {
            let mut parent = parent.clone();
            // Diesel's form for a parent with a lifetime; rows of ours are owned.
            if let Some(last) = parent.segments.last_mut() {
                last.arguments = PathArguments::None;
            }
            relations.push(Relation { column: index, parent, field: None });
        }
    }
    relations.sort_by_key(|relation| relation.column);
}

/// What a topic of several models cannot say for all of them.
pub(super) fn rerouted_options(ctx: &Ctx, options: &SyncOptions) {
    if let Some(path) = &options.lookup_with {
        let message = "`lookup_with` finds the rows of one model, and `#[reroute(…)]` has several";
        ctx.error(path, diag::help(message, "write it on the model: `#[sync(lookup_with = …)]`"));
    }
}

/// Options of one field that exclude each other.
pub(super) fn field_options(ctx: &Ctx, sync: &FieldOptions) {
    let mut said: Vec<(&str, TokenStream)> = Vec::new();
    said.extend(sync.from.as_ref().map(|from| (FROM, from.to_token_stream())));
    said.extend(sync.with.as_ref().map(|(name, _)| (WITH, name.to_token_stream())));
    said.extend(sync.encoding.as_ref().map(|(name, _)| (AS, name.to_token_stream())));
    said.extend(sync.default.as_ref().map(|name| (DEFAULT, name.to_token_stream())));
    if let (Some((name, _)), None) = (&sync.compute, &sync.skip) {
        if let Some((other, tokens)) = said.first() {
            let message = format!("`{COMPUTE}` makes the value, so `{other}` has nothing to do");
            let help = format!("leave `{other}` out; the function sees the message by `cx.value()`");
            ctx.error(tokens, diag::help(message, help));
        }
        said.push((COMPUTE, name.to_token_stream()));
    }
    said.extend(sync.compute.as_ref().map(|(name, _)| (COMPUTE, name.to_token_stream())));
    said.extend(sync.relation.as_ref().map(|(name, _)| (RELATION, name.to_token_stream())));
    if let (Some(_), Some((other, tokens))) = (&sync.skip, said.first()) {
        let message = format!("`{SKIP}` leaves the field out, so `{other}` has nothing to do");
        ctx.error(tokens, diag::help(message, format_args!("leave `{SKIP}` or `{other}` out")));
    }
}

/// The column `kafka_skip`, which has a value of its own.
pub(super) fn mark(ctx: &Ctx, column: &Ident, sync: &FieldOptions) {
    if column.unraw() != KAFKA_SKIP {
        return;
    }
    let said = [
        sync.from.as_ref().map(|from| (FROM, from.to_token_stream())),
        sync.with.as_ref().map(|(name, _)| (WITH, name.to_token_stream())),
        sync.encoding.as_ref().map(|(name, _)| (AS, name.to_token_stream())),
        sync.default.as_ref().map(|name| (DEFAULT, name.to_token_stream())),
        sync.compute.as_ref().map(|(name, _)| (COMPUTE, name.to_token_stream())),
    ];
    if let Some((option, tokens)) = said.into_iter().flatten().next() {
        let message =
            format!("a sync sets `{KAFKA_SKIP}` to true in every row it writes, so `{option}` has nothing to do");
        let note = "so a source connector on this table can tell the sync's changes from the application's";
        let help = format!("leave `{option}` out; for a column that no sync touches: `#[sync(skip)]`");
        ctx.error(tokens, diag::help(diag::note(message, note), help));
    }
}

/// Fields that are no plain columns for Diesel.
pub(super) fn diesel_field(ctx: &Ctx, ident: &Ident, diesel: &DieselField, sync: &FieldOptions) {
    if let Some(word) = &diesel.embed {
        let message = format!("`{ident}` is embedded: it has several columns, and a sync writes one for each field");
        let help = "write its fields into this struct, or leave it out: `#[sync(skip)]`";
        ctx.error(word, diag::help(message, help));
    }
    if let Some(word) = &diesel.select_expression {
        let message = format!("`{ident}` is selected by an expression: it has no column that a sync could write");
        ctx.error(word, diag::help(message, "leave it out: `#[sync(skip)]`"));
    }
    let is_said = sync.from.is_some() || sync.with.is_some() || sync.compute.is_some() || sync.encoding.is_some();
    if let (Some(word), false) = (&diesel.skips_writes, is_said || sync.faulty) {
        let message =
            format!("`{word}` keeps Diesel from writing `{ident}`, and does not say whether a sync writes it");
        let help = format!(
            "leave it to the database: `#[sync(skip)]`; or write what the message says: `#[sync(from = \"{}\")]`",
            ident.unraw()
        );
        ctx.error(word, diag::help(message, help));
    }
}

/// A message field that is excluded, and that a field reads by one of `from`, `with`, `as` (in this order).
pub(super) fn excluded_field(ctx: &Ctx, excluded: &MessageField, name: &str, reads: [bool; 3]) {
    if let Some((option, _)) = [FROM, WITH, AS].into_iter().zip(reads).find(|(_, said)| *said) {
        let message = format!("the message's `{}` is excluded, and field `{name}` reads it", excluded.name);
        let help = format!("leave it out of `exclude(…)`, or leave `{option}` out of field `{name}`");
        ctx.error_at(excluded.span, diag::help(message, help));
    }
}

/// A decimal whose scale nobody says. Of a model with a topic of its own the topic's format is asked later: Avro's
/// schema says it. Then the type's name is given.
pub(super) fn decimal(ctx: &Ctx, derive: Derive, ty: &Type) -> Option<String> {
    let name = decimal_in(ty)?;
    if derive == Derive::SyncModel {
        let message =
            format!("a message in JSON does not carry the scale of a `{name}`, so how to read it must be said");
        let help = "write `#[sync(as = dbz::Decimal(2))]` with the column's scale for Debezium's default \
                    (`decimal.handling.mode=precise`), `#[sync(as = dbz::DecimalText)]` for `string`, or \
                    `#[sync(as = dbz::FromSchema)]` where messages carry their schema";
        ctx.error(ty, diag::help(message, help));
    }
    Some(name)
}

/// The decimal type's name, in `Option<…>` and `Vec<…>` too.
fn decimal_in(ty: &Type) -> Option<String> {
    let segment = last_segment(ty)?;
    let name = segment.ident.to_string();
    match name.as_str() {
        "BigDecimal" | "Decimal" => Some(name),
        "Option" | "Vec" => decimal_in(argument(segment)?),
        _ => None,
    }
}

fn last_segment(ty: &Type) -> Option<&syn::PathSegment> {
    match ty {
        Type::Path(path) => path.path.segments.last(),
        Type::Group(group) => last_segment(&group.elem),
        Type::Paren(paren) => last_segment(&paren.elem),
        _ => None,
    }
}

fn argument(segment: &syn::PathSegment) -> Option<&Type> {
    let PathArguments::AngleBracketed(arguments) = &segment.arguments else { return None };
    match arguments.args.first() {
        Some(GenericArgument::Type(ty)) => Some(ty),
        _ => None,
    }
}

/// Columns and message fields that two fields claim, and too many of them.
pub(super) fn columns(ctx: &Ctx, columns: &[Column]) {
    if let Some(column) = columns.get(COLUMNS_MAX) {
        let message = format!("a model has at most {COLUMNS_MAX} columns, and this one has {}", columns.len());
        ctx.error(&column.ident, diag::help(message, "leave the fields out that no message writes: `#[sync(skip)]`"));
    }
    for (i, column) in columns.iter().enumerate() {
        for other in columns.iter().take(i) {
            if other.sql_name == column.sql_name {
                let message = format!("`{}` and `{}` both write column `{}`", other.name, column.name, column.sql_name);
                ctx.error(&column.ident, diag::help(message, "leave one out: `#[sync(skip)]`"));
            }
            shared_message_field(ctx, other, column);
        }
    }
}

/// Two fields may read one field of the message where both say so.
fn shared_message_field(ctx: &Ctx, a: &Column, b: &Column) {
    let (Source::Message { field, said: said_a, .. }, Source::Message { field: other, said: said_b, .. }) =
        (&a.source, &b.source)
    else {
        return;
    };
    if field != other {
        return;
    }
    // Fields have different names, so one of the two says `from`.
    let (said, silent) = match (said_a, said_b) {
        (Some(said), None) => (said, b),
        (None, Some(said)) => (said, a),
        _ => return,
    };
    let message = format!("`{}` and `{}` both read the message's `{field}`", a.name, b.name);
    let help = format!(
        "if both are meant, say so on `{}` too: `#[sync(from = \"{field}\")]`; else leave one out: `#[sync(skip)]`",
        silent.name
    );
    ctx.error(said, diag::help(message, help));
}

/// Indices of the primary key's columns. A key that the database makes itself may be left out where the model says
/// how else its rows are found.
pub(super) fn primary_key(
    ctx: &Ctx,
    input: &DeriveInput,
    options: &SyncOptions,
    key: &[Ident],
    columns: &[Column],
    left_out: &[Ident],
) -> Vec<usize> {
    let model = &input.ident;
    let found_otherwise = options.lookup.is_some() || options.lookup_with.is_some();
    let mut indices = Vec::new();
    for name in key {
        if let Some(index) = columns.iter().position(|column| column.sql_name == *name) {
            indices.push(index);
        } else if left_out.contains(name) {
            if found_otherwise {
                continue;
            }
            let message = format!("the primary key `{name}` of `{model}` is left out of the sync");
            let message = diag::note(message, "rows are found by their primary key where nothing else is said");
            ctx.error(name, diag::help(message, "say how rows are found: `#[sync(lookup(…))]`"));
        } else {
            let message = format!("`{model}` has no field for its primary key `{name}`");
            let example = columns.first().map_or_else(|| "…".to_owned(), |column| column.sql_name.to_string());
            let help = format!("add the field, or name the key's columns: `#[diesel(primary_key({example}))]`");
            ctx.error(name, diag::help(message, help));
        }
    }
    indices
}

/// Indices of the columns that identify rows, where the model itself says so.
pub(super) fn lookup(ctx: &Ctx, model: &Model, left_out: &[Ident]) -> Vec<usize> {
    if model.options.lookup_with.is_some() {
        return Vec::new();
    }
    let Some(entries) = &model.options.lookup else {
        for column in model.primary_key.iter().filter_map(|index| model.columns.get(*index)) {
            unread_lookup(ctx, column, &column.ident);
        }
        return model.primary_key.clone();
    };
    let mut indices = Vec::new();
    for (i, entry) in entries.iter().enumerate() {
        if entries.iter().take(i).any(|other| other.field == entry.field) {
            // Reported as a duplicate.
            continue;
        }
        let name = entry.field.unraw().to_string();
        if let Some((index, column)) = model.columns.iter().enumerate().find(|(_, column)| column.name == name) {
            unread_lookup(ctx, column, &entry.field);
            indices.push(index);
        } else if left_out.contains(&entry.field) {
            let message = format_args!("`{name}` is left out of the sync, so no row can be found by it");
            ctx.error(&entry.field, diag::help(message, "take `skip` or `exclude` back, or look up by another field"));
        } else {
            ctx.error(&entry.field, no_such_field(model, &name));
        }
    }
    indices
}

fn no_such_field(model: &Model, name: &str) -> String {
    let names: Vec<&str> = model.columns.iter().map(|column| column.name.as_str()).collect();
    let first = match diag::nearest(name, names.iter().copied()) {
        Some(near) => format!("`{}` has no field `{name}`; did you mean `{near}`?", model.ident),
        None => format!("`{}` has no field `{name}`", model.ident),
    };
    diag::help(first, format_args!("rows can be found by {}", diag::list(&names)))
}

/// A lookup needs the message's own value.
fn unread_lookup(ctx: &Ctx, column: &Column, at: &Ident) {
    if column.message_field().is_none() {
        let message = format!("rows are found by `{}`, which is read from no field of the message", column.name);
        let help = "look up by another field: `lookup(…)`; or find the row by a function: `lookup_with = path`";
        ctx.error(at, diag::help(message, help));
    }
}
