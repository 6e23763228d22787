use expect_test::{Expect, expect};

use super::{pretty, tokens};

fn check(arguments: &str, item: &str, expected: &Expect) {
    expected.assert_eq(&pretty(crate::attribute::topic(tokens(arguments), &tokens(item))));
}

#[test]
fn unit_topic_without_types() {
    check(
        r#"name = "${prefix}.audit""#,
        "struct Audit;",
        &expect![[r#"
        struct Audit;
        const _: () = {
            #[automatically_derived]
            impl ::django_kafka_rs::__private::Topic for Audit {
                type Key = ::std::string::String;
                type Value = ::std::string::String;
                type KeyFormat = ::django_kafka_rs::__private::Text;
                type ValueFormat = ::django_kafka_rs::__private::Text;
                const DECLARATION: ::django_kafka_rs::__private::TopicDeclaration = ::django_kafka_rs::__private::TopicDeclaration::new(
                    ::core::stringify!(Audit),
                    "${prefix}.audit",
                    ::django_kafka_rs::__private::Location {
                        file: ::core::file!(),
                        line: ::core::line!(),
                    },
                );
                fn __construct() -> ::core::option::Option<Self> {
                    ::core::option::Option::Some(Self {})
                }
            }
            #[automatically_derived]
            impl ::django_kafka_rs::__private::ProducedTopic for Audit {}
            #[::django_kafka_rs::__private::linkme::distributed_slice(
                ::django_kafka_rs::__private::DECLARATIONS
            )]
            #[linkme(crate = ::django_kafka_rs::__private::linkme)]
            static __DK_TOPIC: ::django_kafka_rs::__private::Declaration = ::django_kafka_rs::__private::Declaration::Topic(
                &<Audit as ::django_kafka_rs::__private::Topic>::DECLARATION,
            );
        };
    "#]],
    );
}

#[test]
fn unit_topic_with_types_and_every_retry_option() {
    check(
        r#"name = "audit", key = String, value = AuditEvent, retry(max_retries = 5, delay = "2s", max_delay = "1m",
           backoff, jitter, include(std::io::Error, DecodeError), include_if = transient, blocking = false,
           log_every = 10, use_offset_tracker)"#,
        "pub struct Audit;",
        &expect![[r#"
            pub struct Audit;
            const _: () = {
                #[automatically_derived]
                impl ::django_kafka_rs::__private::Topic for Audit {
                    type Key = String;
                    type Value = AuditEvent;
                    type KeyFormat = ::django_kafka_rs::__private::Text;
                    type ValueFormat = ::django_kafka_rs::__private::Json;
                    const DECLARATION: ::django_kafka_rs::__private::TopicDeclaration = ::django_kafka_rs::__private::TopicDeclaration::new(
                            ::core::stringify!(Audit),
                            "audit",
                            ::django_kafka_rs::__private::Location {
                                file: ::core::file!(),
                                line: ::core::line!(),
                            },
                        )
                        .retry(
                            ::django_kafka_rs::__private::RetrySettings::new(5i32)
                                .delay_ms(2000u64)
                                .delay_ms_max(60000u64)
                                .backoff(true)
                                .jitter(true)
                                .include(
                                    &[
                                        ::django_kafka_rs::__private::ErrorType::of::<
                                            std::io::Error,
                                        >("std::io::Error"),
                                        ::django_kafka_rs::__private::ErrorType::of::<
                                            DecodeError,
                                        >("DecodeError"),
                                    ],
                                )
                                .include_if(transient)
                                .blocking(false)
                                .log_every(10u32)
                                .use_offset_tracker(true),
                        );
                    fn __construct() -> ::core::option::Option<Self> {
                        ::core::option::Option::Some(Self {})
                    }
                }
                #[automatically_derived]
                impl ::django_kafka_rs::__private::ProducedTopic for Audit {}
                #[::django_kafka_rs::__private::linkme::distributed_slice(
                    ::django_kafka_rs::__private::DECLARATIONS
                )]
                #[linkme(crate = ::django_kafka_rs::__private::linkme)]
                static __DK_TOPIC: ::django_kafka_rs::__private::Declaration = ::django_kafka_rs::__private::Declaration::Topic(
                    &<Audit as ::django_kafka_rs::__private::Topic>::DECLARATION,
                );
            };
        "#]],
    );
}

#[test]
fn topic_with_state_and_a_name_from_a_constant() {
    check(
        "name = names::AUDIT, key_format = bytes, format = json, register = false",
        "#[derive(Default)] struct Audit { seen: Counter }",
        &expect![[r#"
            #[derive(Default)]
            struct Audit {
                seen: Counter,
            }
            const _: () = {
                const __DK_NAME: &str = names::AUDIT;
                const _: () = ::django_kafka_rs::__private::check_topic_name(__DK_NAME);
                #[automatically_derived]
                impl ::django_kafka_rs::__private::Topic for Audit {
                    type Key = ::std::vec::Vec<u8>;
                    type Value = ::django_kafka_rs::__private::serde_json::Value;
                    type KeyFormat = ::django_kafka_rs::__private::Bytes;
                    type ValueFormat = ::django_kafka_rs::__private::Json;
                    const DECLARATION: ::django_kafka_rs::__private::TopicDeclaration = ::django_kafka_rs::__private::TopicDeclaration::new(
                        ::core::stringify!(Audit),
                        __DK_NAME,
                        ::django_kafka_rs::__private::Location {
                            file: ::core::file!(),
                            line: ::core::line!(),
                        },
                    );
                    fn __construct() -> ::core::option::Option<Self> {
                        #[allow(unused_imports)]
                        use ::django_kafka_rs::__private::probe::{
                            MakeDefault as _, MakeNothing as _,
                        };
                        (&::django_kafka_rs::__private::probe::DefaultOf::<Self>::new()).make()
                    }
                }
                #[automatically_derived]
                impl ::django_kafka_rs::__private::ProducedTopic for Audit {}
            };
        "#]],
    );
}

#[test]
fn pattern_with_a_codec_and_another_crate_path() {
    check(
        r#"name = "^orders[.].*", value = Order, value_format = codec::Binary<u8>, crate = facade::dk"#,
        "struct Orders;",
        &expect![[r#"
            struct Orders;
            const _: () = {
                #[automatically_derived]
                impl facade::dk::__private::Topic for Orders {
                    type Key = ::std::string::String;
                    type Value = Order;
                    type KeyFormat = facade::dk::__private::Text;
                    type ValueFormat = codec::Binary<u8>;
                    const DECLARATION: facade::dk::__private::TopicDeclaration = facade::dk::__private::TopicDeclaration::new(
                        ::core::stringify!(Orders),
                        "^orders[.].*",
                        facade::dk::__private::Location {
                            file: ::core::file!(),
                            line: ::core::line!(),
                        },
                    );
                    fn __construct() -> ::core::option::Option<Self> {
                        ::core::option::Option::Some(Self {})
                    }
                }
                #[facade::dk::__private::linkme::distributed_slice(
                    facade::dk::__private::DECLARATIONS
                )]
                #[linkme(crate = facade::dk::__private::linkme)]
                static __DK_TOPIC: facade::dk::__private::Declaration = facade::dk::__private::Declaration::Topic(
                    &<Orders as facade::dk::__private::Topic>::DECLARATION,
                );
            };
        "#]],
    );
}

#[test]
fn model_above_and_below_its_derives() {
    check(
        r#"name = "customers", retry(max_retries = -1, exclude(DecodeError))"#,
        "#[derive(Queryable, django_kafka_rs::DbzConsumer)] struct Customer { id: i64 }",
        &expect![[r##"
            #[derive(Queryable, django_kafka_rs::DbzConsumer)]
            struct Customer {
                id: i64,
            }
            const _: () = {
                #[automatically_derived]
                impl ::django_kafka_rs::__private::Topic for Customer {
                    type Key = ::django_kafka_rs::__private::serde_json::Value;
                    type Value = ::django_kafka_rs::__private::serde_json::Value;
                    type KeyFormat = ::django_kafka_rs::__private::Json;
                    type ValueFormat = ::django_kafka_rs::__private::Json;
                    const DECLARATION: ::django_kafka_rs::__private::TopicDeclaration = ::django_kafka_rs::__private::TopicDeclaration::new(
                            ::core::stringify!(Customer),
                            "customers",
                            ::django_kafka_rs::__private::Location {
                                file: ::core::file!(),
                                line: ::core::line!(),
                            },
                        )
                        .retry(
                            ::django_kafka_rs::__private::RetrySettings::new(-1i32)
                                .exclude(
                                    &[
                                        ::django_kafka_rs::__private::ErrorType::of::<
                                            DecodeError,
                                        >("DecodeError"),
                                    ],
                                ),
                        );
                    fn __construct() -> ::core::option::Option<Self> {
                        ::core::option::Option::None
                    }
                }
                #[::django_kafka_rs::__private::linkme::distributed_slice(
                    ::django_kafka_rs::__private::DECLARATIONS
                )]
                #[linkme(crate = ::django_kafka_rs::__private::linkme)]
                static __DK_TOPIC: ::django_kafka_rs::__private::Declaration = ::django_kafka_rs::__private::Declaration::Topic(
                    &<Customer as ::django_kafka_rs::__private::Topic>::DECLARATION,
                );
            };
        "##]],
    );
    check(
        r#"name = "customers""#,
        "#[sync(model = Customer)] struct Customers;",
        &expect![[r##"
        #[sync(model = Customer)]
        struct Customers;
        const _: () = {
            #[automatically_derived]
            impl ::django_kafka_rs::__private::Topic for Customers {
                type Key = ::django_kafka_rs::__private::serde_json::Value;
                type Value = ::django_kafka_rs::__private::serde_json::Value;
                type KeyFormat = ::django_kafka_rs::__private::Json;
                type ValueFormat = ::django_kafka_rs::__private::Json;
                const DECLARATION: ::django_kafka_rs::__private::TopicDeclaration = ::django_kafka_rs::__private::TopicDeclaration::new(
                    ::core::stringify!(Customers),
                    "customers",
                    ::django_kafka_rs::__private::Location {
                        file: ::core::file!(),
                        line: ::core::line!(),
                    },
                );
                fn __construct() -> ::core::option::Option<Self> {
                    ::core::option::Option::None
                }
            }
            #[::django_kafka_rs::__private::linkme::distributed_slice(
                ::django_kafka_rs::__private::DECLARATIONS
            )]
            #[linkme(crate = ::django_kafka_rs::__private::linkme)]
            static __DK_TOPIC: ::django_kafka_rs::__private::Declaration = ::django_kafka_rs::__private::Declaration::Topic(
                &<Customers as ::django_kafka_rs::__private::Topic>::DECLARATION,
            );
        };
    "##]],
    );
}

#[test]
fn struct_that_only_its_type_tells_from_a_model() {
    check(
        r#"name = "customers""#,
        "struct Customer { id: i64 }",
        &expect![[r#"
        struct Customer {
            id: i64,
        }
        const _: () = {
            #[automatically_derived]
            impl ::django_kafka_rs::__private::Topic for Customer {
                type Key = <::django_kafka_rs::__private::probe::TopicKind<
                    {
                        #[allow(unused_imports)]
                        use ::django_kafka_rs::__private::probe::NoModel as _;
                        <::django_kafka_rs::__private::probe::IsModel<Customer>>::YES
                    },
                > as ::django_kafka_rs::__private::probe::TopicDefaults>::Payload;
                type Value = <::django_kafka_rs::__private::probe::TopicKind<
                    {
                        #[allow(unused_imports)]
                        use ::django_kafka_rs::__private::probe::NoModel as _;
                        <::django_kafka_rs::__private::probe::IsModel<Customer>>::YES
                    },
                > as ::django_kafka_rs::__private::probe::TopicDefaults>::Payload;
                type KeyFormat = <::django_kafka_rs::__private::probe::TopicKind<
                    {
                        #[allow(unused_imports)]
                        use ::django_kafka_rs::__private::probe::NoModel as _;
                        <::django_kafka_rs::__private::probe::IsModel<Customer>>::YES
                    },
                > as ::django_kafka_rs::__private::probe::TopicDefaults>::Format;
                type ValueFormat = <::django_kafka_rs::__private::probe::TopicKind<
                    {
                        #[allow(unused_imports)]
                        use ::django_kafka_rs::__private::probe::NoModel as _;
                        <::django_kafka_rs::__private::probe::IsModel<Customer>>::YES
                    },
                > as ::django_kafka_rs::__private::probe::TopicDefaults>::Format;
                const DECLARATION: ::django_kafka_rs::__private::TopicDeclaration = ::django_kafka_rs::__private::TopicDeclaration::new(
                    ::core::stringify!(Customer),
                    "customers",
                    ::django_kafka_rs::__private::Location {
                        file: ::core::file!(),
                        line: ::core::line!(),
                    },
                );
                fn __construct() -> ::core::option::Option<Self> {
                    #[allow(unused_imports)]
                    use ::django_kafka_rs::__private::probe::{
                        MakeDefault as _, MakeNothing as _,
                    };
                    (&::django_kafka_rs::__private::probe::DefaultOf::<Self>::new()).make()
                }
            }
            #[automatically_derived]
            impl ::django_kafka_rs::__private::ProducedTopic for Customer {}
            #[::django_kafka_rs::__private::linkme::distributed_slice(
                ::django_kafka_rs::__private::DECLARATIONS
            )]
            #[linkme(crate = ::django_kafka_rs::__private::linkme)]
            static __DK_TOPIC: ::django_kafka_rs::__private::Declaration = ::django_kafka_rs::__private::Declaration::Topic(
                &<Customer as ::django_kafka_rs::__private::Topic>::DECLARATION,
            );
        };
    "#]],
    );
}

#[test]
fn mistakes_beside_a_stub() {
    check(
        r#"nam = "customers", key = String, value = Event, retry(max_retries = -2, delay = 0)"#,
        "struct Customer;",
        &expect![[r#"
            struct Customer;
            ::core::compile_error! {
                "unknown option `nam` of `#[topic(…)]`; did you mean `name`?\n= help: `#[topic(…)]` takes `name`, `key`, `value`, `format`, `key_format`, `value_format`, `key_schema`, `value_schema`, `retry`, `register` and `crate`"
            }
            ::core::compile_error! {
                "`max_retries` is -2, and has to be at least -1\n= help: write -1 to retry for ever, or a number of at least 0"
            }
            ::core::compile_error! {
                "`delay` is zero\n= help: write `delay = \"2s\"`"
            }
            const _: () = {
                #[automatically_derived]
                impl ::django_kafka_rs::__private::Topic for Customer {
                    type Key = String;
                    type Value = Event;
                    type KeyFormat = ::django_kafka_rs::__private::probe::AnyFormat;
                    type ValueFormat = ::django_kafka_rs::__private::probe::AnyFormat;
                    const DECLARATION: ::django_kafka_rs::__private::TopicDeclaration = ::django_kafka_rs::__private::TopicDeclaration::new(
                        ::core::stringify!(Customer),
                        "",
                        ::django_kafka_rs::__private::Location {
                            file: ::core::file!(),
                            line: ::core::line!(),
                        },
                    );
                    fn __construct() -> ::core::option::Option<Self> {
                        ::core::option::Option::None
                    }
                }
                #[automatically_derived]
                impl ::django_kafka_rs::__private::ProducedTopic for Customer {}
            };
        "#]],
    );
}
