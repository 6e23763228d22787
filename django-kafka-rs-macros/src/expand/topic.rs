//! `impl Topic`, and the topic's place in the registry.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::spanned::Spanned;

use crate::attr::name::TopicName;
use crate::expand::register;
use crate::model::retry::Retry;
use crate::model::topic::{Format, Payload, Role, Topic};
use crate::paths::Runtime;

/// Everything that `#[topic]` adds to its item.
pub(crate) fn expand(topic: &Topic) -> TokenStream {
    let Topic { dk, ident, role, .. } = topic;
    let (key, key_format) = payload(topic, &topic.key, "__DkKeySchema");
    let (value, value_format) = payload(topic, &topic.value, "__DkValueSchema");
    let key_schema = schema(dk, &topic.key, "__DkKeySchema");
    let value_schema = schema(dk, &topic.value, "__DkValueSchema");
    let fields = schema_fields(topic);
    let name_constant = name_constant(dk, &topic.name);
    let declaration = declaration(topic);
    let construct = construct(dk, topic);
    let produced = (!topic.name.is_pattern() && *role != Role::Synced).then(|| {
        quote! {
            #[automatically_derived]
            impl #dk::ProducedTopic for #ident {}
        }
    });
    let registration = topic.register.then(|| {
        register::element(dk, "__DK_TOPIC", &quote!(#dk::Declaration::Topic(&<#ident as #dk::Topic>::DECLARATION)))
    });
    quote! {
        const _: () = {
            #name_constant
            #key_schema
            #value_schema
            #fields
            #[automatically_derived]
            impl #dk::Topic for #ident {
                type Key = #key;
                type Value = #value;
                type KeyFormat = #key_format;
                type ValueFormat = #value_format;
                const DECLARATION: #dk::TopicDeclaration = #declaration;
                fn __construct() -> ::core::option::Option<Self> {
                    #construct
                }
            }
            #produced
            #registration
        };
    }
}

/// The type of a key or value, and that of its format.
fn payload(topic: &Topic, payload: &Payload, schema: &str) -> (TokenStream, TokenStream) {
    let dk = &topic.dk;
    let format = match (&payload.format, topic.role) {
        (Format::ByRole, Role::Synced) | (Format::Json, _) => quote!(#dk::Json),
        (Format::ByRole, Role::Unclear) => {
            let by_type = by_type(topic);
            quote!(<#by_type as #dk::probe::TopicDefaults>::Format)
        }
        (Format::ByRole, Role::Unit | Role::Stateful) | (Format::Text, _) => quote!(#dk::Text),
        (Format::Bytes, _) => quote!(#dk::Bytes),
        (Format::Avro, _) => avro(dk, payload, schema),
        (Format::Custom(ty), _) => ty.to_token_stream(),
    };
    let ty = match (&payload.ty, &payload.format, topic.role) {
        (Some(ty), ..) => ty.to_token_stream(),
        (None, Format::ByRole, Role::Unclear) => {
            let by_type = by_type(topic);
            quote!(<#by_type as #dk::probe::TopicDefaults>::Payload)
        }
        (None, Format::ByRole, Role::Unit | Role::Stateful) | (None, Format::Text, _) => {
            quote!(::std::string::String)
        }
        (None, Format::Bytes, _) => quote!(::std::vec::Vec<u8>),
        (None, Format::ByRole | Format::Json | Format::Avro | Format::Custom(_), _) => quote!(#dk::serde_json::Value),
    };
    (ty, format)
}

/// Avro with the schema that is declared, or with none.
fn avro(dk: &Runtime, payload: &Payload, schema: &str) -> TokenStream {
    match payload.schema {
        Some(_) => {
            let marker = Ident::new(schema, Span::mixed_site());
            quote!(#dk::Avro<#marker>)
        }
        None => quote!(#dk::Avro),
    }
}

/// The type that stands for a declared schema. The file is named to the compiler, so that a change of it is noticed.
fn schema(dk: &Runtime, payload: &Payload, name: &str) -> Option<TokenStream> {
    let schema = payload.schema.as_ref()?;
    let (marker, path) = (Ident::new(name, Span::mixed_site()), schema.path.to_string_lossy());
    Some(quote! {
        pub struct #marker;
        #[automatically_derived]
        impl #dk::DeclaredSchema for #marker {
            const TEXT: ::core::option::Option<&'static str> =
                ::core::option::Option::Some(::core::include_str!(#path));
        }
    })
}

/// The models read fields that the schema has: only the compiler knows the models.
fn schema_fields(topic: &Topic) -> Option<TokenStream> {
    let schema = topic.value.schema.as_ref().filter(|_| topic.role == Role::Synced)?;
    let fields = schema.row_fields()?;
    let names = fields.iter().map(|field| field.name);
    let (ident, literal) = (&topic.ident, &schema.literal);
    let dk = topic.dk.at(literal.span());
    Some(quote_spanned! {literal.span()=>
        const _: () = {
            #[allow(unused_imports)]
            use #dk::probe::NoModelTopic as _;
            #dk::check_schema_fields(<#dk::probe::ModelTopicOf<#ident>>::TOPIC, #literal, &[#(#names),*])
        };
    })
}

/// The defaults of a struct that may be a model or not: its type says, by whether it is a `SyncModel`.
fn by_type(topic: &Topic) -> TokenStream {
    let Topic { dk, ident, .. } = topic;
    quote! {
        #dk::probe::TopicKind<{
            #[allow(unused_imports)]
            use #dk::probe::NoModel as _;
            <#dk::probe::IsModel<#ident>>::YES
        }>
    }
}

/// A literal was checked by the macro; of a path only the compiler knows the text. It is named once, so that a
/// constant of another type is one error.
fn name_constant(dk: &Runtime, name: &TopicName) -> Option<TokenStream> {
    let TopicName::Path(path) = name else { return None };
    let (dk, constant) = (dk.at(path.span()), name_ident());
    Some(quote_spanned! {path.span()=>
        const #constant: &str = #path;
        const _: () = #dk::check_topic_name(#constant);
    })
}

fn name_ident() -> Ident {
    Ident::new("__DK_NAME", Span::mixed_site())
}

fn declaration(topic: &Topic) -> TokenStream {
    let Topic { dk, ident, .. } = topic;
    let name = match &topic.name {
        TopicName::Exact(literal) | TopicName::Pattern(literal) => literal.to_token_stream(),
        TopicName::Path(_) => name_ident().to_token_stream(),
    };
    let location = dk.location();
    let retry = topic.retry.as_ref().map(|settings| {
        let settings = retry(dk, settings);
        quote!(.retry(#settings))
    });
    let keys = wire(dk, &topic.key, "avro_keys", "__DkKeySchema");
    let values = wire(dk, &topic.value, "avro_values", "__DkValueSchema");
    quote!(#dk::TopicDeclaration::new(::core::stringify!(#ident), #name, #location) #keys #values #retry)
}

/// `.avro_values(…)`, for a format that needs a registry.
fn wire(dk: &Runtime, payload: &Payload, method: &str, schema: &str) -> Option<TokenStream> {
    if !matches!(payload.format, Format::Avro) {
        return None;
    }
    let method = Ident::new(method, Span::call_site());
    let text = match payload.schema {
        Some(_) => {
            let marker = Ident::new(schema, Span::mixed_site());
            quote!(<#marker as #dk::DeclaredSchema>::TEXT)
        }
        None => quote!(::core::option::Option::None),
    };
    Some(quote!(.#method(#text)))
}

fn retry(dk: &Runtime, retry: &Retry) -> TokenStream {
    let max_retries = retry.max_retries;
    let mut tokens = quote!(#dk::RetrySettings::new(#max_retries));
    let mut set = |tokens_of_option: TokenStream| tokens.extend(tokens_of_option);
    if let Some(ms) = retry.delay_ms {
        set(quote!(.delay_ms(#ms)));
    }
    if let Some(ms) = retry.delay_ms_max {
        set(quote!(.delay_ms_max(#ms)));
    }
    if retry.backoff {
        set(quote!(.backoff(true)));
    }
    if retry.jitter {
        set(quote!(.jitter(true)));
    }
    if !retry.include.is_empty() {
        let types = error_types(dk, &retry.include);
        set(quote!(.include(#types)));
    }
    if !retry.exclude.is_empty() {
        let types = error_types(dk, &retry.exclude);
        set(quote!(.exclude(#types)));
    }
    if let Some(path) = &retry.include_if {
        set(quote!(.include_if(#path)));
    }
    if !retry.blocking {
        set(quote!(.blocking(false)));
    }
    if let Some(n) = retry.log_every {
        set(quote!(.log_every(#n)));
    }
    if retry.use_offset_tracker {
        set(quote!(.use_offset_tracker(true)));
    }
    tokens
}

/// Each at the span of its type, so that one which is no error is underlined.
fn error_types(dk: &Runtime, types: &[syn::Type]) -> TokenStream {
    let types = types.iter().map(|ty| {
        let name = ty.to_token_stream().to_string().replace(' ', "");
        let dk = dk.at(ty.span());
        quote_spanned!(ty.span()=> #dk::ErrorType::of::<#ty>(#name))
    });
    quote!(&[#(#types),*])
}

fn construct(dk: &Runtime, topic: &Topic) -> TokenStream {
    match topic.role {
        Role::Synced => quote!(::core::option::Option::None),
        Role::Unit => quote!(::core::option::Option::Some(Self {})),
        Role::Stateful | Role::Unclear => quote! {
            #[allow(unused_imports)]
            use #dk::probe::{MakeDefault as _, MakeNothing as _};
            (&#dk::probe::DefaultOf::<Self>::new()).make()
        },
    }
}
