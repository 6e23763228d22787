use std::fmt::Write as _;

use expect_test::{Expect, expect, expect_file};
use proc_macro2::TokenStream;

use super::{pretty, tokens};
use crate::sync_derive::{dbz_consumer, model_topic_consumer, sync_model};

/// As people read it, with `dk` for the runtime's path.
fn readable(expanded: &TokenStream) -> String {
    pretty(tokens(&expanded.to_string().replace(":: django_kafka_rs :: __private", "dk")))
}

fn check(expanded: &TokenStream, expected: &Expect) {
    expected.assert_eq(&readable(expanded));
}

#[test]
fn model() {
    let expanded = sync_model(tokens(
        r#"
        #[diesel(table_name = schema::customers)]
        #[sync(exclude(password_hash), lookup(id = key), after = changed, reduce(off))]
        struct Customer {
            #[sync(from = "customer_id")]
            id: i64,
            #[sync(with = shout)]
            name: String,
            #[sync(as = dbz::Timestamp, default)]
            seen: Option<NaiveDateTime>,
            #[sync(compute = origin)]
            origin: String,
            #[sync(skip)]
            cached: Cache,
        }
        "#,
    ));
    expect_file!["snapshots/sync_model.rs"].assert_eq(&readable(&expanded));
}

#[test]
fn topic_of_one_model() {
    check(
        &model_topic_consumer(tokens("#[sync(model = crate::Customer, lookup_with = by_email)] struct ByEmail;")),
        &expect![[r#"
            const _: () = {
                #[automatically_derived]
                impl dk::ModelTopicConsumer for ByEmail {
                    const MODEL_TOPIC: dk::ModelTopic = dk::ModelTopic {
                        dialect: dk::Dialect::Plain,
                        targets: dk::Targets::One(&<crate::Customer as dk::SyncModel>::DESCRIPTOR),
                        options: dk::SyncOptions {
                            exclude: &[],
                            lookup: ::core::option::Option::None,
                            lookup_with: ::core::option::Option::Some(|__dk_cx| {
                                let __dk_function: fn(
                                    &dk::SyncContext<'_>,
                                ) -> ::core::result::Result<
                                    dk::Lookup<crate::Customer>,
                                    dk::ConsumeError,
                                > = by_email;
                                __dk_function(__dk_cx).map(::core::convert::Into::into)
                            }),
                            is_deletion: ::core::option::Option::None,
                            deleted_field: ::core::option::Option::None,
                            after: ::core::option::Option::None,
                            envelope: ::core::option::Option::None,
                            reduce: ::core::option::Option::None,
                            guard: ::core::option::Option::None,
                        },
                        key_format: {
                            use dk::probe::FormatsOfNone as _;
                            <dk::probe::FormatsOf<ByEmail>>::KEY.reader()
                        },
                        value_format: {
                            use dk::probe::FormatsOfNone as _;
                            <dk::probe::FormatsOf<ByEmail>>::VALUE.reader()
                        },
                    };
                }
                #[automatically_derived]
                impl dk::ConsumedTopic for ByEmail {
                    fn __handler() -> dk::HandlerSource {
                        dk::HandlerSource::Models(&<Self as dk::ModelTopicConsumer>::MODEL_TOPIC)
                    }
                }
            };
        "#]],
    );
}

#[test]
fn topic_of_several_models() {
    check(
        &dbz_consumer(tokens(
            r#"#[reroute("public.customers" => Customer, "public.orders" => Order)] #[sync(lookup(id))] struct All;"#,
        )),
        &expect![[r#"
            const _: () = {
                const _: () = dk::check_lookup_field(&<Customer as dk::SyncModel>::DESCRIPTOR, "id");
                const _: () = dk::check_lookup_field(&<Order as dk::SyncModel>::DESCRIPTOR, "id");
                #[automatically_derived]
                impl dk::ModelTopicConsumer for All {
                    const MODEL_TOPIC: dk::ModelTopic = dk::ModelTopic {
                        dialect: dk::Dialect::Debezium,
                        targets: dk::Targets::Reroute(
                            &[
                                ("public.customers", &<Customer as dk::SyncModel>::DESCRIPTOR),
                                ("public.orders", &<Order as dk::SyncModel>::DESCRIPTOR),
                            ],
                        ),
                        options: dk::SyncOptions {
                            exclude: &[],
                            lookup: ::core::option::Option::Some(
                                &[
                                    dk::LookupField {
                                        field: "id",
                                        whole_key: false,
                                    },
                                ],
                            ),
                            lookup_with: ::core::option::Option::None,
                            is_deletion: ::core::option::Option::None,
                            deleted_field: ::core::option::Option::None,
                            after: ::core::option::Option::None,
                            envelope: ::core::option::Option::None,
                            reduce: ::core::option::Option::None,
                            guard: ::core::option::Option::None,
                        },
                        key_format: {
                            use dk::probe::FormatsOfNone as _;
                            <dk::probe::FormatsOf<All>>::KEY.reader()
                        },
                        value_format: {
                            use dk::probe::FormatsOfNone as _;
                            <dk::probe::FormatsOf<All>>::VALUE.reader()
                        },
                    };
                }
                #[automatically_derived]
                impl dk::ConsumedTopic for All {
                    fn __handler() -> dk::HandlerSource {
                        dk::HandlerSource::Models(&<Self as dk::ModelTopicConsumer>::MODEL_TOPIC)
                    }
                }
            };
        "#]],
    );
}

#[test]
fn stubs_stand_beside_mistakes() {
    check(
        &dbz_consumer(tokens("#[sync(model = A)] struct Customer { id: i64 }")),
        &expect![[r#"
        ::core::compile_error! {
            "`model` names the model of a topic without fields, and `Customer` is a model itself\n= help: leave it out; or declare the topic apart: `#[sync(model = Customer)] struct …;`"
        }
        const _: () = {
            #[automatically_derived]
            impl dk::SyncModel for Customer {
                type Table = dk::stub::Table;
                type Patch = dk::stub::Patch;
                const DESCRIPTOR: dk::ModelDescriptor = dk::stub::DESCRIPTOR;
            }
        };
        const _: () = {
            #[automatically_derived]
            impl dk::ModelTopicConsumer for Customer {
                const MODEL_TOPIC: dk::ModelTopic = dk::stub::MODEL_TOPIC;
            }
            #[automatically_derived]
            impl dk::ConsumedTopic for Customer {
                fn __handler() -> dk::HandlerSource {
                    dk::HandlerSource::Models(&dk::stub::MODEL_TOPIC)
                }
            }
        };
    "#]],
    );
}

#[test]
fn refuses_more_columns_than_a_table_can_have() {
    let mut fields = String::from("id: i64,");
    for i in 1..=128 {
        write!(fields, "f{i}: i64,").expect("a String takes all");
    }
    let text = sync_model(tokens(&format!("struct Wide {{ {fields} }}"))).to_string();
    assert!(text.contains("a model has at most 128 columns, and this one has 129"), "{text}");
}
