//! Whether the schema that a topic names fits its Rust types, as far as they can be seen.

use syn::spanned::Spanned as _;

use crate::ctx::Ctx;
use crate::diag;
use crate::model::schema::{AvroField, SchemaFile};

/// A key's or value's type beside its schema. Only types that everybody knows are judged.
pub(crate) fn whole(ctx: &Ctx, option: &str, ty: &syn::Type, schema: &SchemaFile) {
    let Some(found) = schema.root_type() else { return };
    if let Some(name) = contradicted(ty, found, false) {
        let file = schema.literal.value();
        let message = diag::note(
            format_args!("`{option} = {name}`, but `{file}` is the schema of {}", with_article(found)),
            "what is read and written is what the schema says",
        );
        ctx.error(ty, diag::help(message, format_args!("give `{option}` the type that `{file}` describes")));
    }
}

/// A model's fields beside the schema of its values. Fields that say how they are read are left alone, and whether all
/// are there is asked of the model itself.
pub(crate) fn fields(ctx: &Ctx, item: &syn::ItemStruct, schema: &SchemaFile) {
    let Some(described) = schema.row_fields() else { return };
    let plain = item.fields.iter().filter(|field| field.attrs.iter().all(|attr| !attr.path().is_ident("sync")));
    for field in plain {
        let Some(ident) = &field.ident else { continue };
        let name = syn::ext::IdentExt::unraw(ident).to_string();
        let Some(AvroField { ty: Some(found), is_decimal, .. }) = described.iter().find(|f| f.name == name) else {
            continue;
        };
        if let Some(rust) = contradicted(&field.ty, found, *is_decimal) {
            let file = schema.literal.value();
            let message = diag::note(
                format_args!("field `{name}` is `{rust}`, but {} in `{file}`", with_article(found)),
                "the schema says what messages hold",
            );
            let cure = "change one of the types, or read the field through a function: `#[sync(with = path)]`";
            ctx.error_at(field.ty.span(), diag::help(message, cure));
        }
    }
}

/// The type's name, where values of the schema's type cannot be read into it.
fn contradicted(ty: &syn::Type, found: &str, is_decimal: bool) -> Option<String> {
    let name = plain_name(ty)?;
    let fits = match name.as_str() {
        "bool" => found == "boolean",
        "i8" | "i16" | "i32" | "i64" | "u16" | "u32" | "u64" => matches!(found, "int" | "long") || is_decimal,
        "f32" | "f64" => matches!(found, "float" | "double" | "int" | "long" | "string") || is_decimal,
        "String" => matches!(found, "string" | "enum") || is_decimal || is_temporal_or_bytes(found),
        _ => true,
    };
    (!fits).then_some(name)
}

/// What serde may give as a text: dates and the like, and bytes that are UTF-8.
fn is_temporal_or_bytes(found: &str) -> bool {
    matches!(found, "bytes" | "fixed")
}

/// The last segment of a type, without `Option<…>` around it.
fn plain_name(ty: &syn::Type) -> Option<String> {
    match ty {
        syn::Type::Group(group) => plain_name(&group.elem),
        syn::Type::Paren(paren) => plain_name(&paren.elem),
        syn::Type::Path(path) => {
            let last = path.path.segments.last()?;
            match &last.arguments {
                syn::PathArguments::None => Some(last.ident.to_string()),
                syn::PathArguments::AngleBracketed(arguments) if last.ident == "Option" => {
                    match arguments.args.first()? {
                        syn::GenericArgument::Type(inner) => plain_name(inner),
                        _ => None,
                    }
                }
                _ => None,
            }
        }
        _ => None,
    }
}

fn with_article(word: &str) -> String {
    match word {
        "bytes" => "`bytes`".to_owned(),
        "int" | "enum" | "array" => format!("an `{word}`"),
        _ => format!("a `{word}`"),
    }
}
