//! `#[derive(KafkaConnectSkip)]` from end to end.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use syn::ext::IdentExt;
use syn::{Attribute, Data, DeriveInput, Fields, FieldsNamed, Ident, Path, Type};

use crate::attr::diesel::{DieselField, DieselStruct, default_table};
use crate::attr::options::OptionList;
use crate::ctx::Ctx;
use crate::model::skip_model::{SkipColumn, SkipModel};
use crate::paths::Runtime;
use crate::symbol::{CRATE, KAFKA_CONNECT_SKIP, KAFKA_SKIP, KAFKA_SKIP_ATTRIBUTE, KAFKA_SKIP_OPTIONS};
use crate::{diag, expand, fallback};

/// The item's impls, or what is wrong with it.
pub(crate) fn kafka_connect_skip(input: TokenStream) -> TokenStream {
    let input: DeriveInput = match syn::parse2(input) {
        Ok(input) => input,
        Err(error) => return error.to_compile_error(),
    };
    let ctx = Ctx::new();
    let dk = Runtime::new(runtime(&ctx, &input.attrs).as_ref());
    let diesel = DieselStruct::read(&ctx, &input.attrs);
    let table = diesel.table.clone().unwrap_or_else(|| default_table(&input.ident));
    let model = named_fields(&ctx, &input).and_then(|fields| model(&ctx, &input.ident, &table, &diesel, fields));
    match (ctx.finish(), model) {
        (Ok(()), Some(model)) => expand::kafka_skip::expand(&dk, &model),
        (errors, _) => {
            let errors = errors.err();
            let stub = fallback::kafka_skip(&dk, &input, &table);
            quote!(#errors #stub)
        }
    }
}

/// `#[kafka_skip(crate = path)]`.
fn runtime(ctx: &Ctx, attributes: &[Attribute]) -> Option<Path> {
    let mut lists = Vec::new();
    for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident(KAFKA_SKIP_ATTRIBUTE)) {
        match attribute.meta.require_list() {
            Ok(list) if !list.tokens.is_empty() => lists.push(list.tokens.clone()),
            _ => ctx.error(attribute, diag::help("`#[kafka_skip(…)]` says nothing", "leave it out")),
        }
    }
    let mut list = OptionList::parse_all(ctx, &KAFKA_SKIP_OPTIONS, lists);
    list.take(CRATE).and_then(|entry| entry.path(ctx, "the path of this crate"))
}

fn named_fields<'i>(ctx: &Ctx, input: &'i DeriveInput) -> Option<&'i FieldsNamed> {
    if !input.generics.params.is_empty() {
        let message =
            format!("`{KAFKA_CONNECT_SKIP}` cannot be derived on a struct with generic or lifetime parameters");
        ctx.error(&input.generics, diag::note(message, "what is saved is a row that was loaded, and owns its values"));
        return None;
    }
    if let Data::Struct(data) = &input.data
        && let Fields::Named(fields) = &data.fields
    {
        return Some(fields);
    }
    let message = format!("`{KAFKA_CONNECT_SKIP}` is derived on a Diesel model, a struct with named fields");
    ctx.error(&input.ident, diag::help(message, no_field_help()));
    None
}

fn no_field_help() -> String {
    format!("add the field `{KAFKA_SKIP}: KafkaSkip`, and the column `{KAFKA_SKIP} -> Bool` to `table!`")
}

fn model(ctx: &Ctx, ident: &Ident, table: &Path, diesel: &DieselStruct, fields: &FieldsNamed) -> Option<SkipModel> {
    let (mut columns, mut mark) = (Vec::new(), None);
    for field in &fields.named {
        let Some(column) = column(ctx, field) else { continue };
        if column.sql_name.unraw() == KAFKA_SKIP {
            check_mark(ctx, &column.ty);
            mark = Some((column.field.clone(), column.ty.clone()));
        }
        columns.push(column);
    }
    let key = diesel.primary_key.clone().unwrap_or_else(|| vec![Ident::new("id", ident.span())]);
    for name in &key {
        if let Some(column) = columns.iter_mut().find(|column| column.sql_name == *name) {
            column.in_key = true;
        } else {
            let message = format!("`{ident}` has no field for its primary key `{name}`");
            let help = "add the field, or name the key's columns: `#[diesel(primary_key(…))]`";
            ctx.error(name, diag::help(diag::note(message, "rows are saved by their primary key"), help));
        }
    }
    if mark.is_none() && !ctx.has_errors() {
        let message = format!("`{ident}` has no field `{KAFKA_SKIP}`");
        ctx.error(ident, diag::help(message, no_field_help()));
    }
    Some(SkipModel { ident: ident.clone(), table: table.clone(), columns, mark: mark? })
}

/// A field's column; `None` for one that has none.
fn column(ctx: &Ctx, field: &syn::Field) -> Option<SkipColumn> {
    let ident = field.ident.clone()?;
    let diesel = DieselField::read(ctx, &field.attrs);
    if let Some(word) = &diesel.embed {
        let message = format!("`{ident}` is embedded: it has several columns, and `save` writes one for each field");
        ctx.error(word, diag::help(message, "write its fields into this struct"));
    }
    if let Some(ty) = &diesel.serialize_as {
        let message =
            format!("`{ident}` is converted by `serialize_as`, which consumes it, and `save` borrows the row");
        ctx.error(ty, diag::help(message, "give the field a type that implements `ToSql` itself"));
    }
    if diesel.select_expression.is_some() {
        return None;
    }
    Some(SkipColumn {
        ty: field.ty.clone(),
        sql_name: diesel.column.unwrap_or_else(|| ident.clone()),
        field: ident,
        in_key: false,
        in_update: !diesel.skips_update,
        in_insert: !diesel.skips_insertion,
    })
}

/// A mark is no plain boolean. Of types with other names the compiler says that they are not `KafkaSkip`.
fn check_mark(ctx: &Ctx, ty: &Type) {
    let Type::Path(path) = ty else { return };
    let Some(name) = path.path.segments.last().map(|segment| segment.ident.to_string()) else { return };
    if ["bool", "Option"].contains(&name.as_str()) {
        let written = ty.to_token_stream().to_string().replace(' ', "");
        let message = format!("`{KAFKA_SKIP}` has to know whether it was set or loaded, which `{written}` does not");
        let note = "a mark that was loaded belongs to an earlier write, and must not be written again";
        ctx.error(ty, diag::help(diag::note(message, note), format_args!("write `{KAFKA_SKIP}: KafkaSkip`")));
    }
}
