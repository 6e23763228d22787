use expect_test::{Expect, expect};

use super::{pretty, tokens};

fn check(arguments: &str, expected: &Expect) {
    expected.assert_eq(&pretty(crate::attribute::connector(tokens(arguments), &tokens("struct CrmSource;"))));
}

#[test]
fn connector_of_literals_and_of_what_is_known_at_start() {
    check(
        r#"config("connector.class" = "org.acme.Source", "tasks.max" = 1, "tombstones.on.delete" = true,
                  "database.password" = env("DB_PASSWORD"), "topic.prefix" = setting("topic_variables.prefix"))"#,
        &expect![[r#"
            struct CrmSource;
            const _: () = {
                #[automatically_derived]
                impl ::django_kafka_rs::__private::Connector for CrmSource {
                    const DECLARATION: ::django_kafka_rs::__private::ConnectorDeclaration = ::django_kafka_rs::__private::ConnectorDeclaration::new(
                            ::core::stringify!(CrmSource),
                            ::django_kafka_rs::__private::Location {
                                file: ::core::file!(),
                                line: ::core::line!(),
                            },
                        )
                        .config(
                            &[
                                (
                                    "connector.class",
                                    ::django_kafka_rs::__private::ConfigValue::Str("org.acme.Source"),
                                ),
                                ("tasks.max", ::django_kafka_rs::__private::ConfigValue::Int(1i64)),
                                (
                                    "tombstones.on.delete",
                                    ::django_kafka_rs::__private::ConfigValue::Bool(true),
                                ),
                                (
                                    "database.password",
                                    ::django_kafka_rs::__private::ConfigValue::Env("DB_PASSWORD"),
                                ),
                                (
                                    "topic.prefix",
                                    ::django_kafka_rs::__private::ConfigValue::Setting(
                                        "topic_variables.prefix",
                                    ),
                                ),
                            ],
                        );
                }
                #[::django_kafka_rs::__private::linkme::distributed_slice(
                    ::django_kafka_rs::__private::DECLARATIONS
                )]
                #[linkme(crate = ::django_kafka_rs::__private::linkme)]
                static __DK_CONNECTOR: ::django_kafka_rs::__private::Declaration = ::django_kafka_rs::__private::Declaration::Connector(
                    &<CrmSource as ::django_kafka_rs::__private::Connector>::DECLARATION,
                );
                const _: CrmSource = CrmSource {};
            };
        "#]],
    );
}

#[test]
fn connector_of_a_function_with_every_option() {
    check(
        r#"config = crm::source_config, name = "${prefix}-crm", mark_for_removal, crate = facade::dk"#,
        &expect![[r#"
            struct CrmSource;
            const _: () = {
                #[automatically_derived]
                impl facade::dk::__private::Connector for CrmSource {
                    const DECLARATION: facade::dk::__private::ConnectorDeclaration = facade::dk::__private::ConnectorDeclaration::new(
                            ::core::stringify!(CrmSource),
                            facade::dk::__private::Location {
                                file: ::core::file!(),
                                line: ::core::line!(),
                            },
                        )
                        .name("${prefix}-crm")
                        .config_of(|| facade::dk::__private::IntoConnectorConfig::into_connector_config(
                            crm::source_config(),
                        ))
                        .mark_for_removal();
                }
                #[facade::dk::__private::linkme::distributed_slice(
                    facade::dk::__private::DECLARATIONS
                )]
                #[linkme(crate = facade::dk::__private::linkme)]
                static __DK_CONNECTOR: facade::dk::__private::Declaration = facade::dk::__private::Declaration::Connector(
                    &<CrmSource as facade::dk::__private::Connector>::DECLARATION,
                );
                const _: CrmSource = CrmSource {};
            };
        "#]],
    );
}

#[test]
fn a_connector_that_is_to_be_removed_needs_no_configuration() {
    check(
        "mark_for_removal",
        &expect![[r#"
        struct CrmSource;
        const _: () = {
            #[automatically_derived]
            impl ::django_kafka_rs::__private::Connector for CrmSource {
                const DECLARATION: ::django_kafka_rs::__private::ConnectorDeclaration = ::django_kafka_rs::__private::ConnectorDeclaration::new(
                        ::core::stringify!(CrmSource),
                        ::django_kafka_rs::__private::Location {
                            file: ::core::file!(),
                            line: ::core::line!(),
                        },
                    )
                    .mark_for_removal();
            }
            #[::django_kafka_rs::__private::linkme::distributed_slice(
                ::django_kafka_rs::__private::DECLARATIONS
            )]
            #[linkme(crate = ::django_kafka_rs::__private::linkme)]
            static __DK_CONNECTOR: ::django_kafka_rs::__private::Declaration = ::django_kafka_rs::__private::Declaration::Connector(
                &<CrmSource as ::django_kafka_rs::__private::Connector>::DECLARATION,
            );
            const _: CrmSource = CrmSource {};
        };
    "#]],
    );
}

#[test]
fn mistakes_beside_a_stub() {
    check(
        r#"config("conector.class" = "org.acme.Source", "tasks.max" = 0, "name" = "x", "tasks.max" = 1), nam = "y""#,
        &expect![[r#"
            struct CrmSource;
            ::core::compile_error! {
                "unknown option `nam` of `#[connector(…)]`; did you mean `name`?\n= help: `#[connector(…)]` takes `config`, `name`, `mark_for_removal` and `crate`"
            }
            ::core::compile_error! {
                "`tasks.max` is given twice"
            }
            ::core::compile_error! {
                "`name` cannot stand in `config(…)`\n= note: a connector is called as its struct, behind the setting `connector_name_prefix`\n= help: take it out; for another name write `name = \"…\"` beside `config`"
            }
            ::core::compile_error! {
                "`tasks.max` is a number of at least 1\n= help: write `\"tasks.max\" = 1`"
            }
            ::core::compile_error! {
                "the connector has no `connector.class`; was `conector.class` meant to be it?\n= help: write `\"connector.class\" = \"io.debezium.connector.postgresql.PostgresConnector\"`"
            }
            const _: () = {
                #[automatically_derived]
                impl ::django_kafka_rs::__private::Connector for CrmSource {
                    const DECLARATION: ::django_kafka_rs::__private::ConnectorDeclaration = ::django_kafka_rs::__private::ConnectorDeclaration::new(
                        ::core::stringify!(CrmSource),
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
