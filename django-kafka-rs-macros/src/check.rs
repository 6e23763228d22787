//! Rules across an attribute's options and the item it stands on.

use crate::attr::connector::ConnectorOptions;
use crate::attr::consumer::ConsumerOptions;
use crate::attr::item;
use crate::attr::options::Given;
use crate::attr::topic::TopicOptions;
use crate::ctx::Ctx;
use crate::model::connector::Connector;
use crate::model::consumer::Consumer;
use crate::model::schema::SchemaFile;
use crate::model::topic::{Format, Payload, Role, Topic};
use crate::symbol::{CONNECTOR, CONSUMER, KEY, KEY_FORMAT, VALUE, VALUE_FORMAT};
use crate::{check_avro, diag, librdkafka};

/// A topic of these options on this struct; `None` where something was reported.
pub(crate) fn topic(ctx: &Ctx, options: TopicOptions, item: &syn::ItemStruct) -> Option<Topic> {
    let TopicOptions {
        dk,
        name,
        key,
        value,
        format,
        key_format,
        value_format,
        key_schema,
        value_schema,
        retry,
        register,
    } = options;
    let role = match item::role(item) {
        // Types or formats that were written leave nothing to be asked.
        Role::Unclear if key.is_some() || value.is_some() || format.is_some() => Role::Stateful,
        role => role,
    };
    let key = payload(ctx, role, key, key_format.or_else(|| format.clone()), (KEY, KEY_FORMAT));
    let key = key.and_then(|key| with_schema(ctx, key, key_schema, (KEY, KEY_FORMAT)));
    let value = payload(ctx, role, value, value_format.or(format), (VALUE, VALUE_FORMAT));
    let value = value.and_then(|value| with_schema(ctx, value, value_schema, (VALUE, VALUE_FORMAT)));
    if let (Role::Synced, Some(schema)) = (role, value.as_ref().and_then(|value| value.schema.as_ref())) {
        check_avro::fields(ctx, item, schema);
    }
    if ctx.has_errors() {
        return None;
    }
    Some(Topic {
        dk,
        ident: item.ident.clone(),
        role,
        name: name?,
        key: key?,
        value: value?,
        retry,
        register: register.unwrap_or(true),
    })
}

/// A consumer of these options on this struct; `None` where something was reported.
pub(crate) fn consumer(ctx: &Ctx, options: ConsumerOptions, item: &syn::ItemStruct) -> Option<Consumer> {
    let ConsumerOptions { dk, group, topics, config, batch, workers, offsets_in_database, suppress } = options;
    let config = librdkafka::check_consumer(ctx, config);
    let state = "what handlers share goes into `App::builder().state(…)`";
    no_fields(ctx, item, (CONSUMER.title, "a consumer"), &format!("write `struct {};`; {state}", item.ident));
    if ctx.has_errors() {
        return None;
    }
    Some(Consumer {
        dk,
        ident: item.ident.clone(),
        group: group?,
        topics: topics?,
        config,
        batch,
        workers,
        offsets_in_database,
        suppress,
    })
}

/// A connector of these options on this struct; `None` where something was reported.
pub(crate) fn connector(ctx: &Ctx, options: ConnectorOptions, item: &syn::ItemStruct) -> Option<Connector> {
    let ConnectorOptions { dk, name, config, mark_for_removal } = options;
    no_fields(ctx, item, (CONNECTOR.title, "a connector"), &format!("write `struct {};`", item.ident));
    if ctx.has_errors() {
        return None;
    }
    Some(Connector { dk, ident: item.ident.clone(), name, config, mark_for_removal })
}

fn no_fields(ctx: &Ctx, item: &syn::ItemStruct, (title, what): (&str, &str), cure: &str) {
    if item.fields.is_empty() {
        return;
    }
    let message = diag::note(
        format_args!("{title} stands on a struct without fields"),
        format_args!("{what} is a declaration; nothing is kept in it"),
    );
    ctx.error(&item.fields, diag::help(message, cure));
}

/// A key or value: the format decides the type where none is written, and the type the format.
fn payload(
    ctx: &Ctx,
    role: Role,
    ty: Option<syn::Type>,
    format: Option<Format>,
    (type_option, format_option): (&str, &str),
) -> Option<Payload> {
    match (&ty, format) {
        (Some(ty), None) => {
            let format = if is_string(ty) && role != Role::Synced { Format::Text } else { Format::Json };
            Some(Payload { ty: Some(ty.clone()), format, schema: None })
        }
        (None, None) => Some(Payload { ty: None, format: Format::ByRole, schema: None }),
        (None, Some(Format::Custom(custom))) if role != Role::Synced => {
            let message = diag::help(
                format_args!("`{type_option}` is missing: only its type says what `{format_option}` reads"),
                format_args!("add `{type_option} = …`, the type that the format decodes to or encodes from"),
            );
            ctx.error(custom, message);
            None
        }
        (_, Some(format)) => Some(Payload { ty, format, schema: None }),
    }
}

/// The same with its schema, which only Avro has.
fn with_schema(
    ctx: &Ctx,
    payload: Payload,
    schema: Option<Given<SchemaFile>>,
    (type_option, format_option): (&str, &str),
) -> Option<Payload> {
    let Some(Given { value: schema, entry }) = schema else { return Some(payload) };
    if !matches!(payload.format, Format::Avro) {
        let message = diag::note(
            format_args!("`{type_option}_schema` names an Avro schema, but the topic's {type_option}s are not Avro"),
            "a schema says how Avro is read and written; other formats have none",
        );
        let cure = format_args!("add `{format_option} = avro`, or leave `{type_option}_schema` out");
        ctx.error(&entry, diag::help(message, cure));
        return None;
    }
    if let Some(ty) = &payload.ty {
        check_avro::whole(ctx, type_option, ty, &schema);
    }
    Some(Payload { schema: Some(schema), ..payload })
}

/// Whether the type is `String`, by its last segment: `String`, `std::string::String`.
fn is_string(ty: &syn::Type) -> bool {
    match ty {
        syn::Type::Path(path) => path.path.segments.last().is_some_and(|last| last.ident == "String"),
        syn::Type::Group(group) => is_string(&group.elem),
        syn::Type::Paren(paren) => is_string(&paren.elem),
        _ => false,
    }
}
