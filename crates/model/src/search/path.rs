//! The tokens of a hypothesis, shared with those that begin alike.

use std::rc::Rc;

/// The tokens so far; empty before the first word.
#[derive(Clone, Default)]
pub(super) struct Path(Option<Rc<Node>>);

struct Node {
    token: i64,
    log_prob: f64,
    /// The row of the step that produced the token.
    row: usize,
    length: usize,
    before: Path,
}

impl Path {
    /// Number of tokens.
    pub fn len(&self) -> usize {
        self.0.as_ref().map_or(0, |node| node.length)
    }

    /// This path and one more token, with its log-probability and the row of its step.
    pub fn and(&self, token: i64, log_prob: f64, row: usize) -> Path {
        Path(Some(Rc::new(Node {
            token,
            log_prob,
            row,
            length: self.len() + 1,
            before: self.clone(),
        })))
    }

    /// Token, log-probability and row of each step, in order.
    pub fn nodes(&self) -> Vec<(i64, f64, usize)> {
        let mut nodes = Vec::with_capacity(self.len());
        let mut at = self;
        while let Some(node) = &at.0 {
            nodes.push((node.token, node.log_prob, node.row));
            at = &node.before;
        }
        nodes.reverse();
        nodes
    }

    /// The tokens, in order.
    pub fn tokens(&self) -> Vec<i64> {
        self.nodes().into_iter().map(|(token, ..)| token).collect()
    }
}
