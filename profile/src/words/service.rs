//! Services of endpoint lists, as a profile names them.

use std::path::Path;

use super::endpoints::{EndpointList, Service, is_word};
use crate::report::{problem::Problem, source::read_text, text::quoted};

/// A service of the lists.
pub(crate) fn find<L: AsRef<EndpointList>>(lists: &[L], name: &str) -> Option<Service> {
    let service = name.split(':').next().unwrap_or(name);
    lists.iter().map(AsRef::as_ref).find(|list| list.service == service)?.choose(name)
}

/// A service's endpoint list.
pub(crate) fn endpoint_list(path: &Path) -> Result<EndpointList, Problem> {
    let text = read_text(path).map_err(|why| Problem::unreadable(path, &why))?;
    EndpointList::parse(&text)
        .map_err(|(why, fix)| Problem::new(format!("{}: {why}", path.display())).what("bad endpoint list").help(fix))
}

/// A service's name, perhaps with a category.
pub(crate) fn service(text: &str) -> Result<(), Problem> {
    let (name, category) = text.split_once(':').map_or((text, None), |(name, category)| (name, Some(category)));
    if is_word(name) && category.is_none_or(is_word) {
        return Ok(());
    }
    let problem = Problem::new(format!("{} is not a service", quoted(text)));
    Err(problem.help("write a service such as \"microsoft365:optimize\", or write hosts into saas.domains"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_with_and_without_a_category() {
        assert!(service("microsoft365:optimize").is_ok() && service("crm").is_ok());
        assert!(["", ":x", "a:", "A", "a:b:c"].into_iter().all(|text| service(text).is_err()));
    }
}
