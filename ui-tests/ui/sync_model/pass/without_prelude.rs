//! Generated code names everything absolutely, and takes nothing of the user's for its own.
#![deny(warnings)]
#![deny(unsafe_code)]

// Diesel's macro needs the prelude; the models' module has none.
diesel::table! { customers (id) { id -> BigInt, name -> Text, email -> Nullable<Text>, origin -> Text, } }

#[no_implicit_prelude]
mod models {
    use super::customers;

    #[::django_kafka_rs::prelude::topic(name = "customers")]
    #[derive(::django_kafka_rs::prelude::DbzConsumer)]
    #[sync(lookup_with = by_name)]
    struct Customer {
        id: i64,
        #[sync(with = shout)]
        name: ::std::string::String,
        #[sync(default)]
        email: ::core::option::Option<::std::string::String>,
        #[sync(compute = origin)]
        origin: ::std::string::String,
    }

    fn shout(name: ::std::string::String) -> ::core::result::Result<::std::string::String, ::core::fmt::Error> {
        ::core::result::Result::Ok(name)
    }
    fn origin(cx: &::django_kafka_rs::prelude::SyncContext<'_>) -> ::std::string::String {
        ::core::convert::From::from(cx.topic())
    }
    fn by_name(
        _: &::django_kafka_rs::prelude::SyncContext<'_>,
    ) -> ::core::result::Result<::django_kafka_rs::prelude::Lookup<Customer>, ::django_kafka_rs::prelude::ConsumeError>
    {
        ::core::result::Result::Ok(::django_kafka_rs::prelude::Lookup::by(customers::name, "x"))
    }

    #[::django_kafka_rs::prelude::topic(name = "all")]
    #[derive(::django_kafka_rs::prelude::DbzConsumer)]
    #[reroute("public.customers" => Customer)]
    struct All;
}

#[allow(dead_code, non_camel_case_types, non_snake_case, non_upper_case_globals)]
mod shadowed {
    diesel::table! { labels (id) { id -> BigInt, name -> Text, } }

    struct Option;
    struct Result;
    struct Some;
    struct i64;
    struct usize;
    struct bool;
    struct str;
    const value: u8 = 0;
    fn None() {}

    #[derive(django_kafka_rs::prelude::SyncModel)]
    struct Label {
        id: std::primitive::i64,
        #[sync(with = std::convert::identity::<std::string::String>)]
        name: std::string::String,
    }
}

fn main() {}
