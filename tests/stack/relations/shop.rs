//! A shop's source database: tables that refer to each other and to themselves, and changes of all kinds that their
//! foreign keys allow. It keeps what it has done, so that each change is one that the database takes.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use crate::harness::{Dice, Postgres, Replica, compare};

/// The tables, parents first, with their columns.
const TABLES: [(&str, &[&str]); 4] = [
    ("customers", &["id", "name", "version"]),
    ("categories", &["id", "parent_id", "name", "version"]),
    ("orders", &["id", "customer_id", "referrer_id", "total", "version"]),
    ("order_lines", &["id", "order_id", "category_id", "amount", "version"]),
];

/// So few that keys are used again, soon after their rows were deleted.
const CUSTOMERS: u64 = 40;
const CATEGORIES: u64 = 30;
const ORDERS: u64 = 300;
const LINES: u64 = 900;

/// The source, and what is in it.
pub(super) struct Shop {
    customers: BTreeSet<u64>,
    /// The parent of each.
    categories: BTreeMap<u64, Option<u64>>,
    orders: BTreeMap<u64, Order>,
    lines: BTreeMap<u64, Line>,
    version: u64,
    dice: Dice,
}

struct Order {
    customer: u64,
    referrer: Option<u64>,
}

struct Line {
    order: u64,
    category: Option<u64>,
}

impl Shop {
    /// The tables with their foreign keys, which are checked at once. `source`: what the source does by itself where a
    /// row is deleted that others refer to without need.
    pub(super) fn tables(is_source: bool) -> String {
        let let_go = if is_source { "on delete set null" } else { "" };
        format!(
            "create table customers (id bigint primary key, name text not null, version bigint not null);
             create table categories (id bigint primary key, parent_id bigint references categories, name text not null,
               version bigint not null);
             create table orders (id bigint primary key, customer_id bigint not null references customers,
               referrer_id bigint references customers {let_go}, total bigint not null, version bigint not null);
             create table order_lines (id bigint primary key, order_id bigint not null references orders,
               category_id bigint references categories {let_go}, amount bigint not null, version bigint not null);"
        )
    }

    /// The tables as Debezium is told of them.
    pub(super) fn captured() -> [String; 4] {
        TABLES.map(|(table, _)| format!("public.{table}"))
    }

    pub(super) fn new(seed: u64) -> Self {
        Self {
            customers: BTreeSet::new(),
            categories: BTreeMap::new(),
            orders: BTreeMap::new(),
            lines: BTreeMap::new(),
            version: 0,
            dice: Dice::new(seed),
        }
    }

    /// Makes so many changes, in transactions of one to four.
    pub(super) fn change(&mut self, source: &Postgres, changes: u64) {
        let mut sql = String::new();
        let mut done = 0;
        while done < changes {
            let together = 1 + self.below(4);
            sql.push_str("begin;\n");
            for _ in 0..together {
                self.one(&mut sql);
            }
            sql.push_str("commit;\n");
            done += together;
        }
        source.sql(&sql);
    }

    /// The number of the last change: each row has that of its last one.
    pub(super) fn version(&self) -> u64 {
        self.version
    }

    /// Every row, every value, of every table.
    pub(super) fn compare(source: &Postgres, replica: &Replica) -> Result<(), String> {
        TABLES.iter().try_for_each(|(table, columns)| {
            let rows = source.rows(table, &columns.join(", "));
            compare(&rows, &replica.rows(table, columns)).map_err(|differs| format!("{table}: {differs}"))
        })
    }

    /// The newest change that the replica has a row of.
    pub(super) fn newest(replica: &Replica) -> u64 {
        let versions = TABLES.iter().flat_map(|(table, _)| replica.rows(table, &["version"]));
        versions.map(|version| version.parse().unwrap()).max().unwrap_or(0)
    }

    fn one(&mut self, sql: &mut String) {
        self.version += 1;
        match self.below(100) {
            0..8 => self.put_customer(sql),
            8..16 => self.put_category(sql),
            16..40 => self.put_order(sql),
            40..75 => self.put_line(sql),
            75..84 => self.rename_line(sql),
            84..90 => self.delete_lines(sql),
            90..94 => self.delete_order(sql),
            94..96 => self.delete_customer(sql),
            96..98 => self.delete_category(sql),
            _ => self.delete_and_make_again(sql),
        }
    }

    fn put_customer(&mut self, sql: &mut String) {
        let (id, version) = (self.below(CUSTOMERS), self.version);
        if self.customers.insert(id) {
            run(sql, format_args!("insert into customers values ({id}, 'customer {id}', {version})"));
        } else {
            run(sql, format_args!("update customers set name = 'v{version}', version = {version} where id = {id}"));
        }
    }

    fn put_category(&mut self, sql: &mut String) {
        let (id, version) = (self.below(CATEGORIES), self.version);
        // A root of a tree says so itself, or refers to itself.
        let parent = match self.below(8) {
            0 => None,
            1 => Some(id),
            _ => any(&mut self.dice, self.categories.keys()).filter(|parent| !self.is_below(*parent, id)),
        };
        let shown = or_null(parent);
        if self.categories.insert(id, parent).is_none() {
            run(sql, format_args!("insert into categories values ({id}, {shown}, 'category {id}', {version})"));
        } else {
            run(sql, format_args!("update categories set parent_id = {shown}, version = {version} where id = {id}"));
        }
    }

    /// Whether a category is another, or somewhere below it.
    fn is_below(&self, category: u64, other: u64) -> bool {
        let parent = |category: &u64| self.categories[category].filter(|parent| parent != category);
        std::iter::successors(Some(category), parent).any(|category| category == other)
    }

    fn put_order(&mut self, sql: &mut String) {
        let (id, version) = (self.below(ORDERS), self.version);
        let Some(customer) = any(&mut self.dice, self.customers.iter()) else { return };
        let referrer = if self.below(2) == 0 { any(&mut self.dice, self.customers.iter()) } else { None };
        let shown = or_null(referrer);
        if self.orders.insert(id, Order { customer, referrer }).is_none() {
            run(sql, format_args!("insert into orders values ({id}, {customer}, {shown}, {version}, {version})"));
        } else {
            run(
                sql,
                format_args!(
                    "update orders set customer_id = {customer}, referrer_id = {shown}, version = {version} where id = {id}"
                ),
            );
        }
    }

    fn put_line(&mut self, sql: &mut String) {
        let (id, version) = (self.below(LINES), self.version);
        let Some(order) = any(&mut self.dice, self.orders.keys()) else { return };
        let category = if self.below(3) == 0 { None } else { any(&mut self.dice, self.categories.keys()) };
        let shown = or_null(category);
        if self.lines.insert(id, Line { order, category }).is_none() {
            run(sql, format_args!("insert into order_lines values ({id}, {order}, {shown}, {version}, {version})"));
        } else {
            run(
                sql,
                format_args!(
                    "update order_lines set order_id = {order}, category_id = {shown}, version = {version} where id = {id}"
                ),
            );
        }
    }

    /// A changed primary key: a deletion and a new row.
    fn rename_line(&mut self, sql: &mut String) {
        let (Some(old), new, version) = (any(&mut self.dice, self.lines.keys()), self.below(LINES), self.version)
        else {
            return;
        };
        if self.lines.contains_key(&new) {
            return;
        }
        let line = self.lines.remove(&old).unwrap();
        self.lines.insert(new, line);
        run(sql, format_args!("update order_lines set id = {new}, version = {version} where id = {old}"));
    }

    fn delete_lines(&mut self, sql: &mut String) {
        for _ in 0..=self.below(3) {
            let Some(id) = any(&mut self.dice, self.lines.keys()) else { return };
            self.lines.remove(&id);
            run(sql, format_args!("delete from order_lines where id = {id}"));
        }
    }

    fn delete_order(&mut self, sql: &mut String) {
        if let Some(id) = any(&mut self.dice, self.orders.keys()) {
            self.remove_order(sql, id);
        }
    }

    fn remove_order(&mut self, sql: &mut String, id: u64) {
        self.lines.retain(|_, line| line.order != id);
        self.orders.remove(&id);
        run(sql, format_args!("delete from order_lines where order_id = {id}"));
        run(sql, format_args!("delete from orders where id = {id}"));
    }

    fn delete_customer(&mut self, sql: &mut String) {
        if let Some(id) = any(&mut self.dice, self.customers.iter()) {
            self.remove_customer(sql, id);
        }
    }

    fn remove_customer(&mut self, sql: &mut String, id: u64) {
        let orders: Vec<u64> =
            self.orders.iter().filter(|(_, order)| order.customer == id).map(|(order, _)| *order).collect();
        for order in orders {
            self.remove_order(sql, order);
        }
        self.customers.remove(&id);
        for order in self.orders.values_mut().filter(|order| order.referrer == Some(id)) {
            order.referrer = None;
        }
        run(sql, format_args!("delete from customers where id = {id}"));
    }

    fn delete_category(&mut self, sql: &mut String) {
        let (Some(id), version) = (any(&mut self.dice, self.categories.keys()), self.version) else { return };
        let parent = self.categories.remove(&id).unwrap().filter(|parent| *parent != id);
        let shown = or_null(parent);
        self.categories.values_mut().filter(|above| **above == Some(id)).for_each(|above| *above = parent);
        self.lines.values_mut().filter(|line| line.category == Some(id)).for_each(|line| line.category = None);
        run(
            sql,
            format_args!(
                "update categories set parent_id = {shown}, version = {version} where parent_id = {id} and id <> {id}"
            ),
        );
        run(sql, format_args!("delete from categories where id = {id}"));
    }

    /// A key that goes with all that refers to it, and is used again at once, with something that refers to it.
    fn delete_and_make_again(&mut self, sql: &mut String) {
        let (Some(customer), version) = (any(&mut self.dice, self.customers.iter()), self.version) else { return };
        self.remove_customer(sql, customer);
        self.customers.insert(customer);
        run(sql, format_args!("insert into customers values ({customer}, 'again', {version})"));
        let order = self.below(ORDERS);
        if self.orders.contains_key(&order) {
            self.remove_order(sql, order);
        }
        self.orders.insert(order, Order { customer, referrer: Some(customer) });
        run(sql, format_args!("insert into orders values ({order}, {customer}, {customer}, {version}, {version})"));
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.dice.in_range(0..limit)
    }
}

fn any<'k>(dice: &mut Dice, keys: impl ExactSizeIterator<Item = &'k u64>) -> Option<u64> {
    let place = dice.in_range(0..keys.len() as u64);
    { keys }.nth(place as usize).copied()
}

fn run(sql: &mut String, statement: std::fmt::Arguments<'_>) {
    writeln!(sql, "{statement};").unwrap();
}

fn or_null(id: Option<u64>) -> String {
    id.map_or_else(|| "null".to_owned(), |id| id.to_string())
}
