const _: () = {
    type __DkColumn0 = schema::customers::columns::id;
    type __DkSql0 = <__DkColumn0 as dk::diesel::expression::Expression>::SqlType;
    type __DkColumn1 = schema::customers::columns::name;
    type __DkSql1 = <__DkColumn1 as dk::diesel::expression::Expression>::SqlType;
    type __DkColumn2 = schema::customers::columns::seen;
    type __DkSql2 = <__DkColumn2 as dk::diesel::expression::Expression>::SqlType;
    type __DkColumn3 = schema::customers::columns::origin;
    type __DkSql3 = <__DkColumn3 as dk::diesel::expression::Expression>::SqlType;
    type __DkTable = <__DkColumn0 as dk::diesel::Column>::Table;
    #[derive(::core::default::Default)]
    pub struct __DkPatch {
        __dk_f0: ::core::option::Option<i64>,
        __dk_f1: ::core::option::Option<String>,
        __dk_f2: ::core::option::Option<Option<NaiveDateTime>>,
        __dk_f3: ::core::option::Option<String>,
        __dk_error: ::core::option::Option<dk::TransformError>,
    }
    #[automatically_derived]
    impl dk::Patch for __DkPatch {
        fn columns_of(
            __dk_field: &::core::primitive::str,
        ) -> &'static [::core::primitive::usize] {
            match __dk_field {
                "customer_id" => &[0usize],
                "name" => &[1usize],
                "seen" => &[2usize],
                _ => &[],
            }
        }
        fn read<'de, D: dk::serde::Deserializer<'de>>(
            &mut self,
            __dk_column: ::core::primitive::usize,
            __dk_value: D,
            __dk_schema: ::core::option::Option<&dk::FieldSchema>,
        ) -> ::core::result::Result<(), D::Error> {
            use dk::probe::{
                EncodingBySerde as _, EncodingByType as _, EncodingOfNone as _,
                FinishResult as _, FinishValue as _, NamedForOption as _,
                NamedForValue as _,
            };
            match __dk_column {
                0usize => {
                    self.__dk_f0 = dk::probe::read::<
                        i64,
                        _,
                        D,
                    >(
                        &(&&dk::probe::EncodingOf::<i64>::new()).encoding(),
                        __dk_value,
                        __dk_schema,
                    )?;
                }
                1usize => {
                    let __dk_transform = dk::probe::transform(shout);
                    self.__dk_f1 = match __dk_transform
                        .read(
                            &(&&__dk_transform.input()).encoding(),
                            __dk_value,
                            __dk_schema,
                        )?
                    {
                        ::core::option::Option::None => ::core::option::Option::None,
                        ::core::option::Option::Some(__dk_output) => {
                            match (&__dk_output).finish() {
                                ::core::result::Result::Ok(__dk_value) => {
                                    ::core::option::Option::Some(
                                        dk::probe::given::<String, _>(__dk_value),
                                    )
                                }
                                ::core::result::Result::Err(__dk_error) => {
                                    self.__dk_error = ::core::option::Option::Some(
                                        dk::TransformError::new("name", __dk_error),
                                    );
                                    return ::core::result::Result::Err(
                                        <D::Error as dk::serde::de::Error>::custom("name"),
                                    );
                                }
                            }
                        }
                    };
                }
                2usize => {
                    self.__dk_f2 = dk::probe::read_named::<
                        Option<NaiveDateTime>,
                        dk::Opt<dbz::Timestamp>,
                        D,
                    >(__dk_value, __dk_schema)?;
                }
                _ => {}
            }
            ::core::result::Result::Ok(())
        }
        fn take_error(&mut self) -> ::core::option::Option<dk::TransformError> {
            self.__dk_error.take()
        }
        fn adopt(
            &mut self,
            __dk_column: ::core::primitive::usize,
            __dk_from: &mut Self,
        ) {
            match __dk_column {
                0usize => {
                    if let ::core::option::Option::Some(__dk_value) = __dk_from
                        .__dk_f0
                        .take()
                    {
                        self.__dk_f0 = ::core::option::Option::Some(__dk_value);
                    }
                }
                1usize => {
                    if let ::core::option::Option::Some(__dk_value) = __dk_from
                        .__dk_f1
                        .take()
                    {
                        self.__dk_f1 = ::core::option::Option::Some(__dk_value);
                    }
                }
                2usize => {
                    if let ::core::option::Option::Some(__dk_value) = __dk_from
                        .__dk_f2
                        .take()
                    {
                        self.__dk_f2 = ::core::option::Option::Some(__dk_value);
                    }
                }
                3usize => {
                    if let ::core::option::Option::Some(__dk_value) = __dk_from
                        .__dk_f3
                        .take()
                    {
                        self.__dk_f3 = ::core::option::Option::Some(__dk_value);
                    }
                }
                _ => {}
            }
        }
        fn compute(
            &mut self,
            __dk_cx: &dk::SyncContext<'_>,
        ) -> ::core::result::Result<(), dk::ConsumeError> {
            use dk::probe::{FinishResult as _, FinishValue as _};
            let __dk_function: fn(&dk::SyncContext<'_>) -> _ = origin;
            let __dk_output = dk::probe::output(__dk_function(__dk_cx));
            match (&__dk_output).finish() {
                ::core::result::Result::Ok(__dk_value) => {
                    self.__dk_f3 = ::core::option::Option::Some(
                        dk::probe::given::<String, _>(__dk_value),
                    );
                }
                ::core::result::Result::Err(__dk_error) => {
                    return ::core::result::Result::Err(
                        ::core::convert::Into::into(
                            dk::TransformError::new("origin", __dk_error),
                        ),
                    );
                }
            }
            ::core::result::Result::Ok(())
        }
    }
    #[automatically_derived]
    impl dk::Row for __DkPatch {
        fn present(&self) -> dk::ColumnSet {
            let mut __dk_set = dk::ColumnSet::EMPTY;
            if self.__dk_f0.is_some() {
                __dk_set = __dk_set.with(0usize);
            }
            if self.__dk_f1.is_some() {
                __dk_set = __dk_set.with(1usize);
            }
            if self.__dk_f2.is_some() {
                __dk_set = __dk_set.with(2usize);
            }
            if self.__dk_f3.is_some() {
                __dk_set = __dk_set.with(3usize);
            }
            __dk_set
        }
        fn fill_insert_defaults(&mut self) {
            if self.__dk_f2.is_none() {
                self.__dk_f2 = ::core::option::Option::Some(
                    <Option<NaiveDateTime> as ::core::default::Default>::default(),
                );
            }
        }
        fn hash_column(
            &self,
            __dk_column: ::core::primitive::usize,
            __dk_state: &mut dyn ::core::hash::Hasher,
        ) -> ::core::primitive::bool {
            use dk::probe::{HashFeed as _, HashNone as _};
            match __dk_column {
                0usize => {
                    match &self.__dk_f0 {
                        ::core::option::Option::Some(__dk_value) => {
                            (&dk::probe::HashOf(__dk_value)).feed(__dk_state)
                        }
                        ::core::option::Option::None => false,
                    }
                }
                1usize => {
                    match &self.__dk_f1 {
                        ::core::option::Option::Some(__dk_value) => {
                            (&dk::probe::HashOf(__dk_value)).feed(__dk_state)
                        }
                        ::core::option::Option::None => false,
                    }
                }
                2usize => {
                    match &self.__dk_f2 {
                        ::core::option::Option::Some(__dk_value) => {
                            (&dk::probe::HashOf(__dk_value)).feed(__dk_state)
                        }
                        ::core::option::Option::None => false,
                    }
                }
                3usize => {
                    match &self.__dk_f3 {
                        ::core::option::Option::Some(__dk_value) => {
                            (&dk::probe::HashOf(__dk_value)).feed(__dk_state)
                        }
                        ::core::option::Option::None => false,
                    }
                }
                _ => false,
            }
        }
        fn eq_column(
            &self,
            __dk_column: ::core::primitive::usize,
            __dk_other: &dyn dk::Row,
        ) -> ::core::primitive::bool {
            use dk::probe::{HashFeed as _, HashNone as _};
            let ::core::option::Option::Some(__dk_other) = __dk_other
                .as_any()
                .downcast_ref::<Self>() else {
                return false;
            };
            match __dk_column {
                0usize => {
                    match (&self.__dk_f0, &__dk_other.__dk_f0) {
                        (
                            ::core::option::Option::Some(__dk_a),
                            ::core::option::Option::Some(__dk_b),
                        ) => {
                            (&dk::probe::HashOf(__dk_a)).same(&dk::probe::HashOf(__dk_b))
                        }
                        _ => false,
                    }
                }
                1usize => {
                    match (&self.__dk_f1, &__dk_other.__dk_f1) {
                        (
                            ::core::option::Option::Some(__dk_a),
                            ::core::option::Option::Some(__dk_b),
                        ) => {
                            (&dk::probe::HashOf(__dk_a)).same(&dk::probe::HashOf(__dk_b))
                        }
                        _ => false,
                    }
                }
                2usize => {
                    match (&self.__dk_f2, &__dk_other.__dk_f2) {
                        (
                            ::core::option::Option::Some(__dk_a),
                            ::core::option::Option::Some(__dk_b),
                        ) => {
                            (&dk::probe::HashOf(__dk_a)).same(&dk::probe::HashOf(__dk_b))
                        }
                        _ => false,
                    }
                }
                3usize => {
                    match (&self.__dk_f3, &__dk_other.__dk_f3) {
                        (
                            ::core::option::Option::Some(__dk_a),
                            ::core::option::Option::Some(__dk_b),
                        ) => {
                            (&dk::probe::HashOf(__dk_a)).same(&dk::probe::HashOf(__dk_b))
                        }
                        _ => false,
                    }
                }
                _ => false,
            }
        }
        dk::postgres! {
            fn bind_postgres < 'b > (& 'b self, __dk_column : ::core::primitive::usize,
            mut __dk_out : dk::diesel::query_builder::AstPass < '_, 'b,
            dk::diesel::pg::Pg >,) -> dk::diesel::QueryResult < () > { use dk::probe:: {
            BindPostgres as _, BindPostgresNone as _ }; match __dk_column { 0usize => if
            let ::core::option::Option::Some(__dk_value) = & self.__dk_f0 { return (&
            dk::probe::PostgresBind:: < _, __DkSql0 > ::new(__dk_value)).bind(__dk_out);
            } 1usize => if let ::core::option::Option::Some(__dk_value) = & self.__dk_f1
            { return (& dk::probe::PostgresBind:: < _, __DkSql1 > ::new(__dk_value))
            .bind(__dk_out); } 2usize => if let ::core::option::Option::Some(__dk_value)
            = & self.__dk_f2 { return (& dk::probe::PostgresBind:: < _, __DkSql2 >
            ::new(__dk_value)).bind(__dk_out); } 3usize => if let
            ::core::option::Option::Some(__dk_value) = & self.__dk_f3 { return (&
            dk::probe::PostgresBind:: < _, __DkSql3 > ::new(__dk_value)).bind(__dk_out);
            } _ => {} } __dk_out.push_sql("NULL"); ::core::result::Result::Ok(()) } fn
            postgres_array < 'b > (& self, __dk_column : ::core::primitive::usize,
            __dk_rows : & 'b[& 'b dyn dk::Row],) -> dk::diesel::QueryResult <
            dk::PostgresArray < 'b >> { use dk::probe:: { ArrayPostgres as _,
            ArrayPostgresNone as _ }; match __dk_column { 0usize => (&
            dk::probe::PostgresArrayBind:: < _, __DkSql0 > ::new(__dk_rows, | __dk_row |
            { match __dk_row.as_any().downcast_ref:: < Self > () {
            ::core::option::Option::Some(__dk_row) => __dk_row.__dk_f0.as_ref(),
            ::core::option::Option::None => ::core::option::Option::None, } })).array(),
            1usize => (& dk::probe::PostgresArrayBind:: < _, __DkSql1 > ::new(__dk_rows,
            | __dk_row | { match __dk_row.as_any().downcast_ref:: < Self > () {
            ::core::option::Option::Some(__dk_row) => __dk_row.__dk_f1.as_ref(),
            ::core::option::Option::None => ::core::option::Option::None, } })).array(),
            2usize => (& dk::probe::PostgresArrayBind:: < _, __DkSql2 > ::new(__dk_rows,
            | __dk_row | { match __dk_row.as_any().downcast_ref:: < Self > () {
            ::core::option::Option::Some(__dk_row) => __dk_row.__dk_f2.as_ref(),
            ::core::option::Option::None => ::core::option::Option::None, } })).array(),
            3usize => (& dk::probe::PostgresArrayBind:: < _, __DkSql3 > ::new(__dk_rows,
            | __dk_row | { match __dk_row.as_any().downcast_ref:: < Self > () {
            ::core::option::Option::Some(__dk_row) => __dk_row.__dk_f3.as_ref(),
            ::core::option::Option::None => ::core::option::Option::None, } })).array(),
            _ => dk::probe::no_column(), } }
        }
        dk::sqlite! {
            fn bind_sqlite < 'b > (& 'b self, __dk_column : ::core::primitive::usize, mut
            __dk_out : dk::diesel::query_builder::AstPass < '_, 'b,
            dk::diesel::sqlite::Sqlite >,) -> dk::diesel::QueryResult < () > { use
            dk::probe:: { BindSqlite as _, BindSqliteNone as _ }; match __dk_column {
            0usize => if let ::core::option::Option::Some(__dk_value) = & self.__dk_f0 {
            return (& dk::probe::SqliteBind:: < _, __DkSql0 > ::new(__dk_value))
            .bind(__dk_out); } 1usize => if let ::core::option::Option::Some(__dk_value)
            = & self.__dk_f1 { return (& dk::probe::SqliteBind:: < _, __DkSql1 >
            ::new(__dk_value)).bind(__dk_out); } 2usize => if let
            ::core::option::Option::Some(__dk_value) = & self.__dk_f2 { return (&
            dk::probe::SqliteBind:: < _, __DkSql2 > ::new(__dk_value)).bind(__dk_out); }
            3usize => if let ::core::option::Option::Some(__dk_value) = & self.__dk_f3 {
            return (& dk::probe::SqliteBind:: < _, __DkSql3 > ::new(__dk_value))
            .bind(__dk_out); } _ => {} } __dk_out.push_sql("NULL");
            ::core::result::Result::Ok(()) }
        }
        fn as_any(&self) -> &dyn ::core::any::Any {
            self
        }
    }
    const _: () = dk::probe::assert_column::<i64, __DkSql0>();
    const _: () = dk::probe::assert_lookup::<i64>();
    const _: () = dk::probe::assert_column::<String, __DkSql1>();
    const _: () = dk::probe::assert_nullable_column::<Option<NaiveDateTime>, __DkSql2>();
    const _: () = dk::probe::assert_column::<String, __DkSql3>();
    #[automatically_derived]
    impl dk::SyncModel for Customer {
        type Table = __DkTable;
        type Patch = __DkPatch;
        const DESCRIPTOR: dk::ModelDescriptor = dk::ModelDescriptor {
            type_name: "Customer",
            columns: &[
                dk::ColumnDescriptor {
                    field: "id",
                    column: <__DkColumn0 as dk::diesel::Column>::NAME,
                    message_field: ::core::option::Option::Some("customer_id"),
                    insert_default: false,
                    stores_postgres: dk::stores_postgres!(i64, __DkSql0),
                    stores_sqlite: dk::stores_sqlite!(i64, __DkSql0),
                },
                dk::ColumnDescriptor {
                    field: "name",
                    column: <__DkColumn1 as dk::diesel::Column>::NAME,
                    message_field: ::core::option::Option::Some("name"),
                    insert_default: false,
                    stores_postgres: dk::stores_postgres!(String, __DkSql1),
                    stores_sqlite: dk::stores_sqlite!(String, __DkSql1),
                },
                dk::ColumnDescriptor {
                    field: "seen",
                    column: <__DkColumn2 as dk::diesel::Column>::NAME,
                    message_field: ::core::option::Option::Some("seen"),
                    insert_default: true,
                    stores_postgres: dk::stores_postgres!(
                        Option < NaiveDateTime >, __DkSql2
                    ),
                    stores_sqlite: dk::stores_sqlite!(Option < NaiveDateTime >, __DkSql2),
                },
                dk::ColumnDescriptor {
                    field: "origin",
                    column: <__DkColumn3 as dk::diesel::Column>::NAME,
                    message_field: ::core::option::Option::None,
                    insert_default: false,
                    stores_postgres: dk::stores_postgres!(String, __DkSql3),
                    stores_sqlite: dk::stores_sqlite!(String, __DkSql3),
                },
            ],
            primary_key: &[0usize],
            options: dk::SyncOptions {
                exclude: &["password_hash"],
                lookup: ::core::option::Option::Some(
                    &[
                        dk::LookupField {
                            field: "id",
                            whole_key: true,
                        },
                    ],
                ),
                lookup_with: ::core::option::Option::None,
                is_deletion: ::core::option::Option::None,
                deleted_field: ::core::option::Option::None,
                after: ::core::option::Option::Some({
                    let __dk_function: fn(
                        &dk::SyncContext<'_>,
                        dk::Applied,
                        &mut dk::DbConn,
                    ) -> ::core::result::Result<(), dk::ConsumeError> = changed;
                    __dk_function
                }),
                envelope: ::core::option::Option::None,
                reduce: ::core::option::Option::Some(false),
                guard: ::core::option::Option::None,
            },
            table: || {
                dk::table_name(
                    "customers",
                    <__DkTable as dk::diesel::associations::HasTable>::table(),
                )
            },
            decode: dk::decode_message::<__DkPatch>,
            location: dk::Location {
                file: ::core::file!(),
                line: ::core::line!(),
            },
        };
    }
    #[automatically_derived]
    impl dk::ColumnOf<Customer> for __DkColumn0 {
        type Field = i64;
        const INDEX: ::core::primitive::usize = 0usize;
        fn set(__dk_patch: &mut __DkPatch, __dk_value: i64) {
            __dk_patch.__dk_f0 = ::core::option::Option::Some(__dk_value);
        }
    }
    #[automatically_derived]
    impl dk::ColumnOf<Customer> for __DkColumn1 {
        type Field = String;
        const INDEX: ::core::primitive::usize = 1usize;
        fn set(__dk_patch: &mut __DkPatch, __dk_value: String) {
            __dk_patch.__dk_f1 = ::core::option::Option::Some(__dk_value);
        }
    }
    #[automatically_derived]
    impl dk::ColumnOf<Customer> for __DkColumn2 {
        type Field = Option<NaiveDateTime>;
        const INDEX: ::core::primitive::usize = 2usize;
        fn set(__dk_patch: &mut __DkPatch, __dk_value: Option<NaiveDateTime>) {
            __dk_patch.__dk_f2 = ::core::option::Option::Some(__dk_value);
        }
    }
    #[automatically_derived]
    impl dk::ColumnOf<Customer> for __DkColumn3 {
        type Field = String;
        const INDEX: ::core::primitive::usize = 3usize;
        fn set(__dk_patch: &mut __DkPatch, __dk_value: String) {
            __dk_patch.__dk_f3 = ::core::option::Option::Some(__dk_value);
        }
    }
    const _: fn(&Customer) = |__dk_model| {
        let _ = &__dk_model.id;
        let _ = &__dk_model.name;
        let _ = &__dk_model.seen;
        let _ = &__dk_model.origin;
        let _ = &__dk_model.cached;
    };
    #[dk::linkme::distributed_slice(dk::DECLARATIONS)]
    #[linkme(crate = dk::linkme)]
    static __DK_MODEL: dk::Declaration = dk::Declaration::Model(
        &<Customer as dk::SyncModel>::DESCRIPTOR,
    );
};
