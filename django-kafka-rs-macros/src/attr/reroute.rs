//! `#[reroute("schema.table" => Model, …)]`.

use proc_macro2::TokenStream;
use syn::parse::{Parse, ParseStream};
use syn::{Attribute, LitStr, Path, Token};

use crate::attr::options::split_commas;
use crate::ctx::Ctx;
use crate::diag;
use crate::model::sync_model::Route;
use crate::symbol::REROUTE_ATTRIBUTE;

const EXAMPLE: &str = "#[reroute(\"public.customers\" => Customer, \"public.orders\" => Order)]";

/// The map.
#[derive(Debug)]
pub(crate) struct Reroute {
    /// The first attribute's name.
    pub(crate) path: Path,
    /// Its entries, as far as they could be read.
    pub(crate) routes: Vec<Route>,
}

impl Reroute {
    /// Reads all `#[reroute(…)]` as one map; `None` where there is none.
    pub(crate) fn read(ctx: &Ctx, attributes: &[Attribute]) -> Option<Self> {
        let mut reroute: Option<Self> = None;
        for attribute in attributes.iter().filter(|a| a.path().is_ident(REROUTE_ATTRIBUTE)) {
            let reroute = reroute.get_or_insert_with(|| Self { path: attribute.path().clone(), routes: Vec::new() });
            let parts = match attribute.meta.require_list() {
                Ok(list) => split_commas(ctx, list.tokens.clone()),
                Err(_) => Vec::new(),
            };
            if parts.is_empty() {
                let message = "`#[reroute(…)]` maps no table to a model";
                ctx.error(attribute, diag::help(message, format_args!("write `{EXAMPLE}`")));
            }
            for part in parts {
                reroute.add(ctx, part);
            }
        }
        reroute
    }

    fn add(&mut self, ctx: &Ctx, part: TokenStream) {
        let Ok(RouteArgument(route)) = syn::parse2(part.clone()) else {
            let message = "expected `\"schema.table\" => Model`";
            ctx.error(part, diag::help(message, format_args!("write `{EXAMPLE}`")));
            return;
        };
        let table = route.table.value();
        if table.is_empty() || table.trim() != table {
            let message = "a table's name is neither empty nor surrounded by blanks";
            let note = "it is compared with the key's `__dbz__physicalTableIdentifier` as it is";
            ctx.error(&route.table, diag::note(message, note));
        } else if let Some(first) = self.routes.iter().find(|other| other.table.value() == table) {
            ctx.error(&route.table, diag::duplicate(&table, first.table.span()));
        } else {
            self.routes.push(route);
        }
    }
}

struct RouteArgument(Route);

impl Parse for RouteArgument {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let table: LitStr = input.parse()?;
        input.parse::<Token![=>]>()?;
        let model: Path = input.parse()?;
        Ok(Self(Route { table, model }))
    }
}
