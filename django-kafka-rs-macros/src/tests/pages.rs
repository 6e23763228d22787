//! The reference pages say what is so: each example of their tables is accepted, and what they show as generated is
//! what the macros generate. Their examples as a whole are compiled as doctests of the runtime (`macro_pages.rs`).

use std::fmt::Write as _;
use std::path::PathBuf;

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};

use super::tokens;

/// A page, and how its macro expands an example: attributes and item together.
struct Page {
    file: &'static str,
    expand: fn(&syn::ItemStruct) -> TokenStream,
}

const PAGES: &[Page] = &[
    Page { file: "topic.md", expand: |item| attribute(item, "topic", crate::attribute::topic) },
    Page { file: "consumer.md", expand: |item| attribute(item, "consumer", crate::attribute::consumer) },
    Page { file: "connector.md", expand: |item| attribute(item, "connector", crate::attribute::connector) },
    Page { file: "sync_model.md", expand: |item| derive(item, crate::sync_derive::sync_model) },
    Page { file: "model_topic_consumer.md", expand: |item| derive(item, crate::sync_derive::model_topic_consumer) },
    Page { file: "dbz_consumer.md", expand: |item| derive(item, crate::sync_derive::dbz_consumer) },
    Page { file: "kafka_connect_skip.md", expand: |item| derive(item, crate::skip_derive::kafka_connect_skip) },
    Page { file: "topic_reproducer.md", expand: |item| derive(item, crate::reproducer_derive::topic_reproducer) },
];

/// What an attribute macro adds to its item.
fn attribute(item: &syn::ItemStruct, name: &str, expand: fn(TokenStream, &TokenStream) -> TokenStream) -> TokenStream {
    let mut item = item.clone();
    let index = item.attrs.iter().position(|attribute| attribute.path().is_ident(name)).expect("the page's own macro");
    let arguments = item.attrs.remove(index).meta.require_list().expect("options in parentheses").tokens.clone();
    let expanded: syn::File = syn::parse2(expand(arguments, &item.to_token_stream())).expect("a list of items");
    expanded.items.iter().skip(1).map(ToTokens::to_token_stream).collect()
}

fn derive(item: &syn::ItemStruct, expand: fn(TokenStream) -> TokenStream) -> TokenStream {
    let mut item = item.clone();
    item.attrs.retain(|attribute| !attribute.path().is_ident("derive") && !attribute.path().is_ident("topic"));
    expand(item.to_token_stream())
}

/// Generated code as the pages show it: without the runtime's path and those of `core`, long bodies cut.
fn outline(expanded: &TokenStream) -> String {
    let mut text = expanded.to_string();
    for (long, short) in [
        (":: django_kafka_rs :: __private :: ", ""),
        (":: core :: primitive :: ", ""),
        (":: core :: option :: Option :: Some", "Some"),
        (":: core :: option :: Option :: None", "None"),
        (":: core :: result :: Result :: Ok", "Ok"),
        (":: core :: option :: Option", "Option"),
        (":: core :: result :: Result", "Result"),
        (":: core :: marker :: ", ""),
        (":: std :: string :: String", "String"),
        ("# [automatically_derived]", ""),
    ] {
        text = text.replace(long, short);
    }
    let mut file: syn::File = syn::parse_str(&text).expect("generated code is a list of items");
    file.items.iter_mut().for_each(cut);
    let pretty = prettyplease::unparse(&file);
    pretty
        .replace("= elided!();", "= /* … */;")
        .replace("elided!();", "/* … */")
        .replace("elided!()", "/* … */")
        .trim_end()
        .to_owned()
}

/// Cuts what is longer than a page has room for.
fn cut(item: &mut syn::Item) {
    match item {
        syn::Item::Const(constant) => {
            if let syn::Expr::Block(block) = &mut *constant.expr {
                for statement in &mut block.block.stmts {
                    if let syn::Stmt::Item(item) = statement {
                        cut(item);
                    }
                }
            }
        }
        syn::Item::Impl(block) => {
            for item in &mut block.items {
                match item {
                    syn::ImplItem::Fn(function) if length(&function.block) > 120 => {
                        function.block = syn::parse_quote!({ elided!() });
                    }
                    syn::ImplItem::Const(constant) if length(&constant.expr) > 900 => {
                        constant.expr = syn::parse_quote!(elided!());
                    }
                    // Each database's own, by the runtime's features.
                    syn::ImplItem::Macro(call) if length(&call.mac.tokens) > 120 => {
                        call.mac.tokens = quote!(elided!());
                    }
                    _ => {}
                }
            }
        }
        _ => {}
    }
}

fn length(tokens: &impl ToTokens) -> usize {
    tokens.to_token_stream().to_string().len()
}

fn path(file: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("docs").join(file)
}

/// The page with its last section's second block as it should be; the first block is the example.
fn with_present_expansion(page: &Page, text: &str) -> String {
    let (before, section) = text.split_once("# What is generated").expect("a section of what is generated");
    let (lead, rest) = section.split_once("```rust\n").expect("an example");
    let (example, rest) = rest.split_once("```\n").expect("the example ends");
    let (between, rest) = rest.split_once("```text\n").expect("what it becomes");
    let (_, after) = rest.split_once("```\n").expect("that ends too");
    let visible: String =
        example.lines().filter(|line| !line.starts_with("# ") && *line != "#").fold(String::new(), |mut text, line| {
            let _ = writeln!(text, "{line}");
            text
        });
    let item: syn::ItemStruct = syn::parse_str(&visible).unwrap_or_else(|e| panic!("{}: {e}\n{visible}", page.file));
    let expanded = (page.expand)(&item);
    assert!(!expanded.to_string().contains("compile_error"), "{}: {expanded}", page.file);
    let shown = outline(&expanded);
    format!("{before}# What is generated{lead}```rust\n{example}```\n{between}```text\n{shown}\n```\n{after}")
}

#[test]
fn pages_show_what_is_generated() {
    let update = std::env::var_os("UPDATE_EXPECT").is_some();
    let mut stale = Vec::new();
    for page in PAGES {
        let text = std::fs::read_to_string(path(page.file)).expect("the page is there");
        let present = with_present_expansion(page, &text);
        if present != text {
            if update {
                std::fs::write(path(page.file), &present).expect("the page can be written");
            } else {
                stale.push(page.file);
            }
        }
    }
    assert!(stale.is_empty(), "run with UPDATE_EXPECT=1 and read the diff: {stale:?} show what is generated no more");
}

/// The options of a page's tables: each with the examples in the last column.
fn examples(page: &str) -> Vec<(String, Vec<String>)> {
    let mut rows = Vec::new();
    for line in page.lines().filter(|line| line.starts_with("| `") || line.starts_with("| |")) {
        let cells: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
        let (Some(first), Some(last)) = (cells.first(), cells.last()) else { continue };
        // Tables of other things (headers, functions) have other columns.
        if cells.len() == 4 {
            rows.push((first.trim_matches('`').to_owned(), code_spans(last)));
        }
    }
    rows
}

fn code_spans(cell: &str) -> Vec<String> {
    cell.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// Expands `example` of `option` in its place, with what it needs beside it.
fn accepts(page: &str, option: &str, example: &str) -> TokenStream {
    let unit = tokens("struct Example;");
    let of_topic = |options: String| crate::attribute::topic(tokens(&options), &unit);
    match page {
        "topic" if example.starts_with("name") => of_topic(example.to_owned()),
        "topic" => {
            let beside = ["key = OrderId", "value = OrderPlaced"].into_iter().filter(|part| !repeats(part, example));
            let given: Vec<_> = beside.chain([example]).collect();
            of_topic(format!("name = \"orders\", {}", given.join(", ")))
        }
        "retry" if example.starts_with("max_retries") => of_topic(format!("name = \"orders\", retry({example})")),
        "retry" => of_topic(format!("name = \"orders\", retry(max_retries = 5, {example})")),
        "consumer" => {
            let beside = [r#"group = "crm""#, "topics(Customer)"].into_iter().filter(|part| !repeats(part, example));
            let options = beside.chain([example]).collect::<Vec<_>>().join(", ");
            crate::attribute::consumer(tokens(&options), &unit)
        }
        "batch" => {
            let options = format!(r#"group = "crm", topics(Customer), batch({example})"#);
            crate::attribute::consumer(tokens(&options), &unit)
        }
        "connector" => {
            let class = r#"config("connector.class" = "org.acme.Source")"#;
            let beside = [class].into_iter().filter(|part| !repeats(part, example));
            crate::attribute::connector(tokens(&beside.chain([example]).collect::<Vec<_>>().join(", ")), &unit)
        }
        "sync" if option == "model" => {
            crate::sync_derive::dbz_consumer(tokens(&format!("#[sync({example})] struct Example;")))
        }
        "sync" => crate::sync_derive::dbz_consumer(tokens(&format!(
            "#[diesel(table_name = customers, belongs_to(Shop, foreign_key = shop))] #[sync({example})]
             struct Customer {{ id: i64, email: String, shop: i64 }}"
        ))),
        "field" => crate::sync_derive::dbz_consumer(tokens(&format!(
            "#[diesel(table_name = customers)] struct Customer {{ id: i64, #[sync({example})] shop: i64 }}"
        ))),
        "kafka_skip" => crate::skip_derive::kafka_connect_skip(tokens(&format!(
            "{example} struct Customer {{ id: i64, kafka_skip: KafkaSkip }}"
        ))),
        "reproduce" => {
            let model = if example.starts_with("model") { "" } else { "model = Order, " };
            crate::reproducer_derive::topic_reproducer(tokens(&format!(
                "#[reproduce({model}{example})] struct Example;"
            )))
        }
        _ => panic!("no page is called {page}"),
    }
}

/// Whether both name the same option.
fn repeats(part: &str, example: &str) -> bool {
    let name =
        |text: &str| text.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or_default().to_owned();
    name(part) == name(example)
}

#[test]
fn every_example_in_the_tables_is_accepted() {
    let topic = include_str!("../../docs/topic.md");
    let (topic, retry) = topic.split_once("\n# `retry(…)`").expect("a section of `retry`");
    let consumer = include_str!("../../docs/consumer.md");
    let (consumer, batch) = consumer.split_once("\n# `batch(…)`").expect("a section of `batch`");
    let sync = include_str!("../../docs/sync.md");
    let (sync, field) = sync.split_once("\n# `#[sync(…)]` on a field").expect("a section of fields");
    let mut faults = String::new();
    let mut tried = 0;
    for (place, page) in [
        ("topic", topic),
        ("retry", retry),
        ("consumer", consumer),
        ("batch", batch),
        ("connector", include_str!("../../docs/connector.md")),
        ("sync", sync),
        ("field", field),
        ("kafka_skip", include_str!("../../docs/kafka_connect_skip.md")),
        ("reproduce", include_str!("../../docs/topic_reproducer.md")),
    ] {
        for (option, examples) in examples(page) {
            // Read while the example is expanded: there is no such file.
            if option.contains("schema") {
                continue;
            }
            for example in examples {
                tried += 1;
                let expanded = accepts(place, &option, &example).to_string();
                if let Some((_, error)) = expanded.split_once("compile_error") {
                    writeln!(faults, "{place}, `{option}`: {example}\n    {error:.200}").expect("a String takes all");
                }
            }
        }
    }
    assert!(tried > 50, "only {tried} examples were found: how are the tables written?");
    assert!(faults.is_empty(), "{faults}");
}
