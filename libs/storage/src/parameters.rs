//! From `$1`-style parameters to the anonymous ones of SQLite.
//!
//! SQLite keeps the names of parameters in a list, and the driver asks it for each one's name, so that a statement with thousands
//! of them costs their square. Anonymous ones have no names to look for.

use sea_orm::Value;

/// The statement with `?` for each `$n`, and the values in the order in which it asks for them. A value that is asked for twice
/// is there twice. What stands in quotes is left alone; a number without a value is NULL, as SQLite has it.
pub(crate) fn anonymous(sql: &str, values: Vec<Value>) -> (String, Vec<Value>) {
    let mut text = String::with_capacity(sql.len());
    let mut asked: Vec<usize> = Vec::with_capacity(values.len());
    let mut rest = sql;
    while let Some(at) = rest.find(['$', '\'']) {
        let (before, from) = rest.split_at(at);
        text.push_str(before);
        let length = if from.starts_with('\'') { quoted(from) } else { numbered(from) };
        let (piece, behind) = from.split_at(length);
        match piece.strip_prefix('$').and_then(|number| number.parse::<usize>().ok()) {
            Some(number) => {
                text.push('?');
                asked.push(number.wrapping_sub(1));
            }
            None => text.push_str(piece),
        }
        rest = behind;
    }
    text.push_str(rest);
    if asked.len() == values.len() && asked.iter().enumerate().all(|(at, number)| at == *number) {
        return (text, values);
    }
    let value = |number: &usize| values.get(*number).cloned().unwrap_or(Value::BigInt(None));
    let values = asked.iter().map(value).collect();
    (text, values)
}

/// How long a text in quotes is, with both of them; a quote within is two, which read as two texts.
fn quoted(text: &str) -> usize {
    text[1..].find('\'').map_or(text.len(), |end| end + 2)
}

/// How long a `$` with its number is.
fn numbered(text: &str) -> usize {
    1 + text[1..].bytes().take_while(u8::is_ascii_digit).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ints(values: impl IntoIterator<Item = i64>) -> Vec<Value> {
        values.into_iter().map(Value::from).collect()
    }

    #[test]
    fn parameters_in_order_keep_their_values() {
        let (text, values) = anonymous("INSERT INTO t VALUES ($1,$2),($3,$4)", ints(1..=4));
        assert_eq!((text.as_str(), values), ("INSERT INTO t VALUES (?,?),(?,?)", ints(1..=4)));
    }

    #[test]
    fn one_that_is_asked_for_twice_or_out_of_order_is_told_so() {
        let (text, values) = anonymous("SELECT $2, COALESCE(a, $2) FROM t WHERE k = $1", ints([7, 8]));
        assert_eq!(text, "SELECT ?, COALESCE(a, ?) FROM t WHERE k = ?");
        assert_eq!(values, ints([8, 8, 7]));
    }

    #[test]
    fn what_stands_in_quotes_is_left_alone() {
        let (text, values) = anonymous("SELECT '$1', 'it''s $2', '$', a$b FROM t WHERE k = $1", ints([7]));
        assert_eq!(
            (text.as_str(), values),
            ("SELECT '$1', 'it''s $2', '$', a$b FROM t WHERE k = ?", ints([7]))
        );
    }

    #[test]
    fn one_without_a_value_is_null() {
        let (_, values) = anonymous("SELECT $1, $2", ints([7]));
        assert_eq!(values, [Value::from(7_i64), Value::BigInt(None)]);
    }
}
