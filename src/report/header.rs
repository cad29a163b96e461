//! What the page is about and what made it.

/// The page's head.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Header {
    /// Technology.
    pub tech: String,
    /// What the technology is, in one sentence; may be empty.
    pub tech_description: String,
    /// Cell.
    pub cell: String,
    /// Profile: `quick`, `full`.
    pub profile: String,
    /// Supply [V].
    pub vdd_v: f64,
    /// Temperature [degC].
    pub temperature_degc: f64,
    /// When the page was made, as text; the report takes no clock of its own, so that equal data give equal bytes.
    pub date: String,
    /// Version of gaincell.
    pub version: String,
    /// Version of ngspice.
    pub ngspice: String,
    /// Commit of the sources; empty if unknown.
    pub commit: String,
    /// Command that makes it again.
    pub command: String,
}

impl Header {
    /// Rows of the table under the title; what is not known is left out.
    pub fn facts(&self) -> Vec<(&'static str, String)> {
        let conditions = format!("VDD = {} V, {} °C", self.vdd_v, self.temperature_degc);
        let facts = [
            ("Technology", self.tech.clone()),
            ("Cell", self.cell.clone()),
            ("Conditions", conditions),
            ("Profile", self.profile.clone()),
            ("Date", self.date.clone()),
            ("gaincell", self.version.clone()),
            ("ngspice", self.ngspice.clone()),
            ("Commit", self.commit.clone()),
        ];
        facts.into_iter().filter(|(_, value)| !value.is_empty()).collect()
    }
}
