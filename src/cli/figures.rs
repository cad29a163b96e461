//! `gaincell plot` and `gaincell report`.

use std::path::PathBuf;

use super::Context;
use crate::error::Result;
use crate::tech::Technology;

pub(super) fn plot(context: &Context) -> Result<()> {
    let tech = Technology::find(&context.common.tech, &context.project.technologies())?;
    draw(context, &tech).map(|_| ())
}

pub(super) fn report(context: &Context) -> Result<()> {
    let tech = Technology::find(&context.common.tech, &context.project.technologies())?;
    page(context, &tech).map(|_| ())
}

pub(super) fn draw(_context: &Context, _tech: &Technology) -> Result<usize> {
    Ok(0)
}

pub(super) fn page(context: &Context, _tech: &Technology) -> Result<PathBuf> {
    Ok(context.project.results())
}
