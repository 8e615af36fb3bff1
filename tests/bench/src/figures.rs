//! Medians and percentiles.

/// The middle one; of an even number the mean of the two in the middle. Zero of none.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => 0.0,
        odd if odd % 2 == 1 => values[middle],
        _ => f64::midpoint(values[middle - 1], values[middle]),
    }
}

/// The smallest value that at least this share of all do not exceed, `share` in 0 to 1; zero of none. Sorts.
pub(crate) fn percentile(values: &mut [u64], share: f64) -> u64 {
    values.sort_unstable();
    let below = values.iter().enumerate().find(|(at, _)| (*at as f64 + 1.0) >= share * values.len() as f64);
    below.map_or(0, |(_, value)| *value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_of_an_even_number_is_between_the_two_in_the_middle() {
        assert_eq!(median(vec![4.0, 1.0, 3.0, 2.0]).to_bits(), 2.5f64.to_bits());
        assert_eq!(median(vec![9.0, 1.0, 2.0]).to_bits(), 2.0f64.to_bits());
        assert_eq!(median(Vec::new()).to_bits(), 0.0f64.to_bits());
    }

    #[test]
    fn a_percentile_is_a_value_that_was_there() {
        let mut hundred: Vec<u64> = (1..=100).rev().collect();
        assert_eq!((percentile(&mut hundred, 0.5), percentile(&mut hundred, 0.99)), (50, 99));
        assert_eq!((percentile(&mut [7], 0.99), percentile(&mut [], 0.5)), (7, 0));
    }
}
