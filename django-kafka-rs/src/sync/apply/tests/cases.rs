//! Single properties of the writer, each on the smallest table that shows it.

use super::tables::*;
use super::*;
