//! What holds for any value.

use bigdecimal::BigDecimal;
use bigdecimal::num_bigint::BigInt;
use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, Utc};
use proptest::prelude::*;
use serde_json::{Value, json};
use uuid::Uuid;

use super::*;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn decimals_come_back(bytes in proptest::collection::vec(any::<u8>(), 1..40), scale in -30_i32..30) {
        let decimal = BigDecimal::new(BigInt::from_signed_bytes_be(&bytes), scale.into());
        let value = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, &bytes);
        let written = json!({"scale": scale, "value": value}).to_string();
        prop_assert_eq!(read::<BigDecimal, dbz::Decimal<0>>(&written), Ok(Presence::Present(decimal.clone())));
        let text = Value::from(decimal.to_plain_string()).to_string();
        prop_assert_eq!(read::<BigDecimal, dbz::DecimalText>(&text), Ok(Presence::Present(decimal.clone())));
        let schema = FieldSchema { scale: Some(scale), ..named("org.apache.kafka.connect.data.Decimal") };
        let unscaled = Value::from(value).to_string();
        prop_assert_eq!(
            read_with::<BigDecimal, dbz::FromSchema>(&unscaled, Some(&schema)),
            Ok(Presence::Present(decimal))
        );
    }

    #[test]
    fn instants_come_back(micros in any::<i64>()) {
        match read::<NaiveDateTime, dbz::MicroTimestamp>(&micros.to_string()) {
            Ok(Presence::Present(time)) => prop_assert_eq!(time.and_utc().timestamp_micros(), micros),
            Ok(Presence::Unavailable) => prop_assert!(false, "a number is no placeholder"),
            Err(_) => prop_assert!(DateTime::from_timestamp_micros(micros).is_none()),
        }
    }

    #[test]
    fn any_text_is_read_or_refused(text in any::<String>()) {
        let json = Value::from(text).to_string();
        // What counts is that none of them panics.
        let _ = (default::<NaiveDate>(&json), default::<DateTime<Utc>>(&json), default::<Vec<u8>>(&json));
        let _ = (default::<Value>(&json), default::<Uuid>(&json), default::<f64>(&json));
        let _ = (read::<NaiveTime, dbz::IsoTime>(&json), read::<NaiveDate, dbz::IsoDate>(&json));
        let _ = (read::<f64, dbz::DecimalText>(&json), read::<String, dbz::Decimal<3>>(&json));
    }
}
