use expect_test::{Expect, expect};

use super::{pretty, tokens};

fn check(arguments: &str, expected: &Expect) {
    expected.assert_eq(&pretty(crate::attribute::consumer(tokens(arguments), &tokens("struct Crm;"))));
}

#[test]
fn consumer_of_one_topic() {
    check(
        r#"group = "crm", topics(Customer)"#,
        &expect![[r#"
        struct Crm;
        const _: () = {
            const _: () = ::django_kafka_rs::__private::check_consumer_topic(
                &<Crm as ::django_kafka_rs::__private::Consumer>::DECLARATION,
                0usize,
            );
            #[automatically_derived]
            impl ::django_kafka_rs::__private::Consumer for Crm {
                const DECLARATION: ::django_kafka_rs::__private::ConsumerDeclaration = ::django_kafka_rs::__private::ConsumerDeclaration::new(
                    ::core::stringify!(Crm),
                    "crm",
                    &[::django_kafka_rs::__private::TopicEntry::of::<Customer>()],
                    ::django_kafka_rs::__private::Location {
                        file: ::core::file!(),
                        line: ::core::line!(),
                    },
                );
            }
            #[::django_kafka_rs::__private::linkme::distributed_slice(
                ::django_kafka_rs::__private::DECLARATIONS
            )]
            #[linkme(crate = ::django_kafka_rs::__private::linkme)]
            static __DK_CONSUMER: ::django_kafka_rs::__private::Declaration = ::django_kafka_rs::__private::Declaration::Consumer(
                &<Crm as ::django_kafka_rs::__private::Consumer>::DECLARATION,
            );
            const _: Crm = Crm {};
        };
    "#]],
    );
}

#[test]
fn consumer_with_every_option() {
    check(
        r#"group = "${prefix}.crm", topics(Customer, shop::Order),
           config("auto.offset.reset" = "earliest", "fetch.min.bytes" = 1, "enable.auto.offset.store" = false,
                  "sasl.password" = env("KAFKA_PASSWORD"), "client.rack" = setting("consumer.rack"),
                  "log_level" = 6, "offset.store.method" = "broker"),
           batch(max = 2000, bytes = 4000000, linger = "5ms"), workers = 4, offsets = "database",
           suppress("orders", "${prefix}.audit"), crate = facade::dk"#,
        &expect![[r#"
            struct Crm;
            const _: () = {
                const _: () = facade::dk::__private::check_consumer_topic(
                    &<Crm as facade::dk::__private::Consumer>::DECLARATION,
                    0usize,
                );
                const _: () = facade::dk::__private::check_consumer_topic(
                    &<Crm as facade::dk::__private::Consumer>::DECLARATION,
                    1usize,
                );
                const _: () = {
                    #[deprecated(
                        note = "librdkafka calls `offset.store.method` deprecated; see its CONFIGURATION.md"
                    )]
                    const __DK_PROPERTY: () = ();
                    __DK_PROPERTY
                };
                #[automatically_derived]
                impl facade::dk::__private::Consumer for Crm {
                    const DECLARATION: facade::dk::__private::ConsumerDeclaration = facade::dk::__private::ConsumerDeclaration::new(
                            ::core::stringify!(Crm),
                            "${prefix}.crm",
                            &[
                                facade::dk::__private::TopicEntry::of::<Customer>(),
                                facade::dk::__private::TopicEntry::of::<shop::Order>(),
                            ],
                            facade::dk::__private::Location {
                                file: ::core::file!(),
                                line: ::core::line!(),
                            },
                        )
                        .config(
                            &[
                                (
                                    "auto.offset.reset",
                                    facade::dk::__private::ConfigValue::Str("earliest"),
                                ),
                                ("fetch.min.bytes", facade::dk::__private::ConfigValue::Int(1i64)),
                                (
                                    "enable.auto.offset.store",
                                    facade::dk::__private::ConfigValue::Bool(false),
                                ),
                                (
                                    "sasl.password",
                                    facade::dk::__private::ConfigValue::Env("KAFKA_PASSWORD"),
                                ),
                                (
                                    "client.rack",
                                    facade::dk::__private::ConfigValue::Setting("consumer.rack"),
                                ),
                                ("log_level", facade::dk::__private::ConfigValue::Int(6i64)),
                                (
                                    "offset.store.method",
                                    facade::dk::__private::ConfigValue::Str("broker"),
                                ),
                            ],
                        )
                        .batch(facade::dk::__private::BatchSettings {
                            max: ::core::option::Option::Some(2000u32),
                            bytes_max: ::core::option::Option::Some(4000000u64),
                            linger_ms: ::core::option::Option::Some(5u64),
                        })
                        .workers(4u32)
                        .offsets(facade::dk::__private::OffsetStore::Database)
                        .suppress(
                            facade::dk::__private::SuppressedTopics::Named(
                                &["orders", "${prefix}.audit"],
                            ),
                        );
                }
                #[facade::dk::__private::linkme::distributed_slice(
                    facade::dk::__private::DECLARATIONS
                )]
                #[linkme(crate = facade::dk::__private::linkme)]
                static __DK_CONSUMER: facade::dk::__private::Declaration = facade::dk::__private::Declaration::Consumer(
                    &<Crm as facade::dk::__private::Consumer>::DECLARATION,
                );
                const _: Crm = Crm {};
            };
        "#]],
    );
}

#[test]
fn group_as_a_property() {
    check(
        r#"topics(Customer), config("group.id" = "crm")"#,
        &expect![[r#"
        struct Crm;
        const _: () = {
            const _: () = ::django_kafka_rs::__private::check_consumer_topic(
                &<Crm as ::django_kafka_rs::__private::Consumer>::DECLARATION,
                0usize,
            );
            #[automatically_derived]
            impl ::django_kafka_rs::__private::Consumer for Crm {
                const DECLARATION: ::django_kafka_rs::__private::ConsumerDeclaration = ::django_kafka_rs::__private::ConsumerDeclaration::new(
                    ::core::stringify!(Crm),
                    "crm",
                    &[::django_kafka_rs::__private::TopicEntry::of::<Customer>()],
                    ::django_kafka_rs::__private::Location {
                        file: ::core::file!(),
                        line: ::core::line!(),
                    },
                );
            }
            #[::django_kafka_rs::__private::linkme::distributed_slice(
                ::django_kafka_rs::__private::DECLARATIONS
            )]
            #[linkme(crate = ::django_kafka_rs::__private::linkme)]
            static __DK_CONSUMER: ::django_kafka_rs::__private::Declaration = ::django_kafka_rs::__private::Declaration::Consumer(
                &<Crm as ::django_kafka_rs::__private::Consumer>::DECLARATION,
            );
            const _: Crm = Crm {};
        };
    "#]],
    );
}

#[test]
fn mistakes_beside_a_stub() {
    check(
        r#"grup = "crm", topics(Customer, Customer), config("linger.ms" = 5), workers = 0"#,
        &expect![[r#"
            struct Crm;
            ::core::compile_error! {
                "unknown option `grup` of `#[consumer(…)]`; did you mean `group`?\n= help: `#[consumer(…)]` takes `group`, `topics`, `config`, `batch`, `workers`, `offsets`, `suppress` and `crate`"
            }
            ::core::compile_error! {
                "`Customer` is given twice"
            }
            ::core::compile_error! {
                "`workers` is 0, and has to be at least 1\n= help: write `workers = 4`"
            }
            ::core::compile_error! {
                "`linger.ms` is a property of producers\n= help: set it in `[producer_config]` of the settings file; one producer serves all consumers"
            }
            const _: () = {
                #[automatically_derived]
                impl ::django_kafka_rs::__private::Consumer for Crm {
                    const DECLARATION: ::django_kafka_rs::__private::ConsumerDeclaration = ::django_kafka_rs::__private::ConsumerDeclaration::new(
                        ::core::stringify!(Crm),
                        "",
                        &[],
                        ::django_kafka_rs::__private::Location {
                            file: ::core::file!(),
                            line: ::core::line!(),
                        },
                    );
                }
            };
        "#]],
    );
}
