//! Lists: page after page, until there are as many as were asked for.

use prost::Message;

use super::sheet::Table;
use super::{Connection, print, wire};

/// The most that a page can hold.
const WHOLE_PAGE: i32 = 1_000;

/// Reads `page` after page (size and token in, members and next token out) and hands over at most `limit` members, all with 0.
/// Returns whether there are more.
///
/// # Errors
/// The first that comes up.
pub async fn every<T>(
    limit: usize,
    mut page: impl AsyncFnMut(i32, String) -> anyhow::Result<(Vec<T>, String)>,
    mut each: impl FnMut(T) -> anyhow::Result<()>,
) -> anyhow::Result<bool> {
    let mut left = if limit == 0 { usize::MAX } else { limit };
    let mut token = String::new();
    loop {
        let size = i32::try_from(left).unwrap_or(WHOLE_PAGE).min(WHOLE_PAGE);
        let (members, next) = page(size, token).await?;
        let more = members.len() > left;
        for member in members.into_iter().take(left) {
            left -= 1;
            each(member)?;
        }
        if next.is_empty() || left == 0 {
            return Ok(more || !next.is_empty());
        }
        token = next;
    }
}

impl Connection {
    /// Prints a list: for programs a message a line, as they come; for people a table, and on the side whether there are more.
    ///
    /// # Errors
    /// The first that comes up.
    #[allow(clippy::print_stderr, reason = "what stands beside the list")]
    pub async fn list<T: Message>(
        &self,
        full_name: &str,
        limit: usize,
        headings: &[&str],
        row: impl Fn(&T) -> Vec<String>,
        page: impl AsyncFnMut(i32, String) -> anyhow::Result<(Vec<T>, String)>,
    ) -> anyhow::Result<()> {
        let mut table = Table::new(headings);
        let each = |member: T| {
            if self.json() {
                print(&(wire::write(full_name, &member)? + "\n"))?;
            } else {
                table.row(row(&member));
            }
            Ok(())
        };
        let more = every(limit, page, each).await?;
        if !self.json() {
            print(&table.text())?;
        }
        if more {
            eprintln!("sluice: there are more than these {limit}; --limit 0 shows all");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn listed(limit: usize, pages: &[&[u8]]) -> (Vec<u8>, bool, Vec<i32>) {
        let (mut got, mut sizes) = (Vec::new(), Vec::new());
        let page = async |size: i32, token: String| {
            sizes.push(size);
            let at: usize = token.parse().unwrap_or(0);
            let next = if at + 1 < pages.len() { (at + 1).to_string() } else { String::new() };
            Ok((pages[at].to_vec(), next))
        };
        let more = every(limit, page, |member| {
            got.push(member);
            Ok(())
        });
        let more = more.await.unwrap();
        (got, more, sizes)
    }

    #[tokio::test]
    async fn pages_are_followed_until_there_are_enough_and_empty_ones_end_nothing() {
        assert_eq!(listed(0, &[&[1, 2], &[], &[3]]).await, (vec![1, 2, 3], false, vec![1_000, 1_000, 1_000]));
        assert_eq!(listed(3, &[&[1, 2], &[3], &[4]]).await, (vec![1, 2, 3], true, vec![3, 1]));
        assert_eq!(listed(3, &[&[1, 2], &[3]]).await, (vec![1, 2, 3], false, vec![3, 1]));
        assert_eq!(listed(1, &[&[1, 2]]).await, (vec![1], true, vec![1]));
    }
}
