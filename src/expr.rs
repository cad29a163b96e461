//! Arithmetic, as decks write it in `{...}` and sweeps in `expr = "..."`.
//!
//! Numbers may carry SPICE suffixes (`15n`, `2meg`, `8f`); names are looked up by the caller; `v(node)` and `i(source)` are
//! names too. Operators: `+ - * / ** ^`, comparison and logic are left to ngspice. Functions: `abs sqrt exp ln log10 min max`.

use std::fmt;

/// A parsed expression.
#[derive(Debug, Clone, PartialEq)]
pub enum Expr {
    /// A constant.
    Number(f64),
    /// A parameter or a signal, in lower case.
    Name(String),
    /// `-x`.
    Negate(Box<Expr>),
    /// `a op b`.
    Binary(Box<Expr>, Operator, Box<Expr>),
    /// `f(a, ...)`.
    Call(Function, Vec<Expr>),
}

/// A binary operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operator {
    /// `+`
    Add,
    /// `-`
    Subtract,
    /// `*`
    Multiply,
    /// `/`
    Divide,
    /// `**` or `^`
    Power,
}

/// A function known to expressions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Function {
    /// Absolute value.
    Abs,
    /// Square root.
    Sqrt,
    /// Natural exponential.
    Exp,
    /// Natural logarithm.
    Ln,
    /// Decimal logarithm.
    Log10,
    /// Least of the arguments.
    Min,
    /// Greatest of the arguments.
    Max,
}

const FUNCTIONS: &[(&str, Function)] = &[
    ("abs", Function::Abs),
    ("sqrt", Function::Sqrt),
    ("exp", Function::Exp),
    ("ln", Function::Ln),
    ("log10", Function::Log10),
    ("min", Function::Min),
    ("max", Function::Max),
];

/// Why an expression cannot be read or evaluated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExprError {
    /// The text is not an expression.
    Syntax(String),
    /// A name that nobody defines.
    Undefined(String),
}

impl fmt::Display for ExprError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ExprError::Syntax(why) => f.write_str(why),
            ExprError::Undefined(name) => write!(f, "`{name}` is not defined"),
        }
    }
}

impl Expr {
    /// Parses `text`.
    ///
    /// # Errors
    /// [`ExprError::Syntax`] with what was found and where.
    pub fn parse(text: &str) -> Result<Expr, ExprError> {
        Expr::parse_with(text, false)
    }

    /// Parses `text` as a PDK's library writes it: braces are parentheses, and a random function (`agauss(m, ...)` and its
    /// kin) stands for its nominal value, its first argument.
    ///
    /// # Errors
    /// As [`Expr::parse`].
    pub fn parse_nominal(text: &str) -> Result<Expr, ExprError> {
        Expr::parse_with(&text.replace('{', "(").replace('}', ")").replace('\'', ""), true)
    }

    fn parse_with(text: &str, nominal: bool) -> Result<Expr, ExprError> {
        let mut parser = Parser { text, position: 0, nominal };
        let expr = parser.sum()?;
        parser.skip_space();
        if parser.position < text.len() {
            return Err(parser.unexpected());
        }
        Ok(expr)
    }

    /// Evaluates with `lookup` for names.
    ///
    /// # Errors
    /// [`ExprError::Undefined`] for the first name that `lookup` does not know.
    pub fn eval(&self, lookup: &dyn Fn(&str) -> Option<f64>) -> Result<f64, ExprError> {
        Ok(match self {
            Expr::Number(value) => *value,
            Expr::Name(name) => lookup(name).ok_or_else(|| ExprError::Undefined(name.clone()))?,
            Expr::Negate(inner) => -inner.eval(lookup)?,
            Expr::Binary(left, operator, right) => {
                let (a, b) = (left.eval(lookup)?, right.eval(lookup)?);
                match operator {
                    Operator::Add => a + b,
                    Operator::Subtract => a - b,
                    Operator::Multiply => a * b,
                    Operator::Divide => a / b,
                    Operator::Power => a.powf(b),
                }
            }
            Expr::Call(function, arguments) => {
                let values = arguments.iter().map(|a| a.eval(lookup)).collect::<Result<Vec<_>, _>>()?;
                match function {
                    Function::Abs => values[0].abs(),
                    Function::Sqrt => values[0].sqrt(),
                    Function::Exp => values[0].exp(),
                    Function::Ln => values[0].ln(),
                    Function::Log10 => values[0].log10(),
                    Function::Min => values.iter().copied().fold(f64::INFINITY, f64::min),
                    Function::Max => values.iter().copied().fold(f64::NEG_INFINITY, f64::max),
                }
            }
        })
    }

    /// Every name used, in order of appearance, once.
    pub fn names(&self) -> Vec<String> {
        fn walk(expr: &Expr, names: &mut Vec<String>) {
            match expr {
                Expr::Number(_) => {}
                Expr::Name(name) => {
                    if !names.contains(name) {
                        names.push(name.clone());
                    }
                }
                Expr::Negate(inner) => walk(inner, names),
                Expr::Binary(a, _, b) => {
                    walk(a, names);
                    walk(b, names);
                }
                Expr::Call(_, arguments) => arguments.iter().for_each(|a| walk(a, names)),
            }
        }
        let mut names = Vec::new();
        walk(self, &mut names);
        names
    }
}

/// A number with an optional SPICE suffix (`t g meg k m u n p f a`; trailing letters are ignored, as SPICE does).
pub fn spice_number(text: &str) -> Option<f64> {
    let text = text.trim().to_ascii_lowercase();
    let end = numeric_prefix(&text);
    if end == 0 || !text[..end].bytes().any(|b| b.is_ascii_digit()) {
        return None;
    }
    let number = &text[..end];
    let letters = &text[end..];
    if !letters.bytes().all(|b| b.is_ascii_alphabetic()) {
        return None;
    }
    let exponent = match letters.as_bytes() {
        [b'm', b'e', b'g', ..] => 6,
        [b't', ..] => 12,
        [b'g', ..] => 9,
        [b'k', ..] => 3,
        [b'm', ..] => -3,
        [b'u', ..] => -6,
        [b'n', ..] => -9,
        [b'p', ..] => -12,
        [b'f', ..] => -15,
        [b'a', ..] => -18,
        _ => 0,
    };
    if exponent == 0 || number.contains('e') {
        number.parse::<f64>().ok().map(|v| v * 10f64.powi(exponent))
    } else {
        format!("{number}e{exponent}").parse().ok()
    }
}

fn numeric_prefix(text: &str) -> usize {
    let bytes = text.as_bytes();
    let mut i = usize::from(matches!(bytes.first(), Some(b'+' | b'-')));
    while i < bytes.len() && (bytes[i].is_ascii_digit() || bytes[i] == b'.') {
        i += 1;
    }
    if i < bytes.len() && bytes[i].eq_ignore_ascii_case(&b'e') {
        let sign = usize::from(matches!(bytes.get(i + 1), Some(b'+' | b'-')));
        if bytes.get(i + 1 + sign).is_some_and(u8::is_ascii_digit) {
            i += 1 + sign;
            while i < bytes.len() && bytes[i].is_ascii_digit() {
                i += 1;
            }
        }
    }
    i
}

/// Functions that ngspice draws with; the first argument is the nominal value.
const DRAWING: [&str; 5] = ["agauss", "gauss", "aunif", "unif", "limit"];

struct Parser<'a> {
    text: &'a str,
    position: usize,
    nominal: bool,
}

impl Parser<'_> {
    fn rest(&self) -> &str {
        &self.text[self.position..]
    }
    fn skip_space(&mut self) {
        self.position += self.rest().len() - self.rest().trim_start().len();
    }
    fn eat(&mut self, token: &str) -> bool {
        self.skip_space();
        let found = self.rest().starts_with(token);
        if found {
            self.position += token.len();
        }
        found
    }
    fn unexpected(&self) -> ExprError {
        let found = self.rest().chars().next().map_or("the end".to_string(), |c| format!("`{c}`"));
        ExprError::Syntax(format!("unexpected {found} in `{}`", self.text))
    }
    fn sum(&mut self) -> Result<Expr, ExprError> {
        let mut left = self.product()?;
        loop {
            let operator = if self.eat("+") {
                Operator::Add
            } else if self.eat("-") {
                Operator::Subtract
            } else {
                return Ok(left);
            };
            left = Expr::Binary(Box::new(left), operator, Box::new(self.product()?));
        }
    }
    fn product(&mut self) -> Result<Expr, ExprError> {
        let mut left = self.unary()?;
        loop {
            self.skip_space();
            let operator = if self.rest().starts_with("**") {
                return Err(self.unexpected());
            } else if self.eat("*") {
                Operator::Multiply
            } else if self.eat("/") {
                Operator::Divide
            } else {
                return Ok(left);
            };
            left = Expr::Binary(Box::new(left), operator, Box::new(self.unary()?));
        }
    }
    fn unary(&mut self) -> Result<Expr, ExprError> {
        if self.eat("-") {
            return Ok(Expr::Negate(Box::new(self.unary()?)));
        }
        self.eat("+");
        let base = self.atom()?;
        if self.eat("**") || self.eat("^") {
            return Ok(Expr::Binary(Box::new(base), Operator::Power, Box::new(self.unary()?)));
        }
        Ok(base)
    }
    fn atom(&mut self) -> Result<Expr, ExprError> {
        if self.eat("(") {
            let inner = self.sum()?;
            return if self.eat(")") { Ok(inner) } else { Err(self.unexpected()) };
        }
        let rest = self.rest();
        let first = rest.bytes().next();
        if first.is_some_and(|b| b.is_ascii_digit() || b == b'.') {
            let digits = numeric_prefix(rest);
            let letters = rest[digits..].bytes().take_while(u8::is_ascii_alphabetic).count();
            let value = spice_number(&rest[..digits + letters]).ok_or_else(|| self.unexpected())?;
            self.position += digits + letters;
            return Ok(Expr::Number(value));
        }
        if !first.is_some_and(|b| b.is_ascii_alphabetic() || b == b'_') {
            return Err(self.unexpected());
        }
        let word = rest.bytes().take_while(|b| b.is_ascii_alphanumeric() || *b == b'_').count();
        let name = rest[..word].to_ascii_lowercase();
        self.position += word;
        if self.rest().starts_with('(') {
            if name == "v" || name == "i" {
                let close = self.rest().find(')').ok_or_else(|| self.unexpected())?;
                let signal = format!("{name}{}", self.rest()[..=close].to_ascii_lowercase());
                self.position += close + 1;
                return Ok(Expr::Name(signal.split_whitespace().collect()));
            }
            let drawing = self.nominal && DRAWING.contains(&name.as_str());
            let function = FUNCTIONS.iter().find(|(known, _)| *known == name).map(|(_, function)| *function);
            if function.is_none() && !drawing {
                return Err(ExprError::Syntax(format!(
                    "`{name}` is not a function; known are abs, sqrt, exp, ln, log10, min, max"
                )));
            }
            self.position += 1;
            let mut arguments = vec![self.sum()?];
            while self.eat(",") {
                arguments.push(self.sum()?);
            }
            if !self.eat(")") {
                return Err(self.unexpected());
            }
            return Ok(match function {
                Some(function) => Expr::Call(function, arguments),
                None => arguments.swap_remove(0),
            });
        }
        Ok(Expr::Name(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &str) -> f64 {
        Expr::parse(text).unwrap().eval(&|name| (name == "x").then_some(3.0)).unwrap()
    }

    #[test]
    fn follows_precedence_and_suffixes() {
        assert_eq!(value("1 + 2*x - 4/2"), 5.0);
        assert_eq!(value("-x**2"), -9.0);
        assert_eq!(value("2**-1"), 0.5);
        assert_eq!(value("15n"), 15e-9);
        assert_eq!(value("2meg + 1m"), 2e6 + 1e-3);
        assert_eq!(value("8fF"), 8e-15);
        assert_eq!(value("max(1, x, 2) - min(1, x)"), 2.0);
        assert_eq!(value("1e-3*x"), 1e-3 * 3.0);
    }

    #[test]
    fn a_library_is_read_at_its_nominal_values() {
        let text = "{1.0+corner*0.0} + 3*switch*exp(agauss(0,0.12,1)) + 'gauss(2, 0.1, 3)'";
        let values = |name: &str| Some(if name == "switch" { 0.5 } else { 7.0 });
        assert_eq!(Expr::parse_nominal(text).unwrap().eval(&values).unwrap(), 1.0 + 1.5 + 2.0);
        assert!(Expr::parse_nominal("nobody(1)").is_err());
    }

    #[test]
    fn signals_are_names() {
        assert_eq!(Expr::parse("V(bl) - v( ref )").unwrap().names(), ["v(bl)", "v(ref)"]);
    }

    #[test]
    fn says_what_is_wrong() {
        assert!(matches!(Expr::parse("1 +"), Err(ExprError::Syntax(_))));
        assert!(matches!(Expr::parse("agauss(0,1)"), Err(ExprError::Syntax(_))));
        assert_eq!(Expr::parse("y").unwrap().eval(&|_| None), Err(ExprError::Undefined("y".into())));
    }
}
