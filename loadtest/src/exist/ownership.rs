//! Acquiring, releasing and creating attributes.

use std::collections::BTreeMap;

use super::catalogue::{group_named, template_named};
use super::object::Object;
use super::value::ValueType;
use super::world::{Attribute, Caller, World};
use super::write::{Refused, name_of, require};

/// Priority of a new custom attribute.
const CUSTOM_PRIORITY: u8 = 9;
/// Priority of a new tag.
const TAG_PRIORITY: u8 = 2;

impl World {
    /// Makes the client the owner, creating a templated attribute that the user lacks.
    pub(super) fn acquire(
        &mut self,
        caller: &Caller,
        index: usize,
        item: &Object,
        full: bool,
    ) -> Result<Object, Refused> {
        let by_template = match (item.raw("template").is_some(), item.raw("name").is_some()) {
            (true, false) => true,
            (false, true) => false,
            (false, false) => return Err(Refused::missing(index, &["name"])),
            (true, true) => return Err(Refused::validation("Send either 'template' or 'name'")),
        };
        let name = name_of(item, if by_template { "template" } else { "name" })?;
        let manual = flag(item, "manual")?;
        let nothing = || Refused::new("not_found", "Attribute matching query does not exist.");
        let user = self.user(caller);
        let today = user.today(caller.now);
        let available = user.offers.get(&name).cloned().unwrap_or_default();
        let attribute = match user.attributes.get_mut(&name) {
            Some(own) if by_template && own.template.is_none() => {
                // The user's own attribute took the template's name.
                return Err(exists(&name));
            }
            Some(known) => {
                if !caller.may("write", known.group.name, known.manual) {
                    return Err(Refused::out_of_scope(known.group.name));
                }
                known.owner = Some(caller.service.clone());
                known.active = true;
                known.manual = manual.unwrap_or(known.manual);
                known
            }
            None => {
                let template = template_named(&name).filter(|_| by_template).ok_or_else(nothing)?;
                let manual = manual.unwrap_or(true);
                if !caller.may("write", template.group.name, manual) {
                    return Err(Refused::out_of_scope(template.group.name));
                }
                let new = Attribute::templated(&template, caller.service.clone(), manual, today);
                user.attributes.entry(name).or_insert(new)
            }
        };
        Ok(if full { attribute.object(&available) } else { item.clone() })
    }

    /// Gives an attribute up: to another service that offers it, else to nobody.
    pub(super) fn release(&mut self, caller: &Caller, index: usize, item: &Object) -> Result<Object, Refused> {
        require(index, item, &["name"])?;
        let name = name_of(item, "name")?;
        let user = self.user(caller);
        let attribute = user.attributes.get_mut(&name).ok_or_else(|| Refused::unknown(&name))?;
        if !attribute.is_owned_by(&caller.service) {
            return Err(Refused::not_ours(&name));
        }
        let heir = user.offers.get(&name).and_then(|offers| offers.first()).cloned();
        attribute.active = heir.is_some();
        attribute.owner = heir;
        // Here, and only here, the service is a plain string.
        let service = attribute.owner.as_ref().map_or("", |owner| owner.name.as_str());
        Ok(item.clone().with("service", service).with("active", attribute.active))
    }

    /// Makes an attribute that the user lacks, owned by the client.
    pub(super) fn create(
        &mut self,
        caller: &Caller,
        index: usize,
        item: &Object,
        full: bool,
    ) -> Result<Object, Refused> {
        let manual = flag(item, "manual")?.unwrap_or(true);
        let owner = caller.service.clone();
        let user = self.user(caller);
        let today = user.today(caller.now);
        let attribute = if item.raw("template").is_some() {
            let name = name_of(item, "template")?;
            let template = template_named(&name)
                .ok_or_else(|| Refused::new("not_found", format!("No template named '{name}'")))?;
            Attribute::templated(&template, owner, manual, today)
        } else {
            let mut attribute = custom(index, item, manual)?;
            attribute.owner = Some(owner);
            attribute.rows.insert(today, attribute.value_type.seed());
            attribute
        };
        if !caller.may("write", attribute.group.name, manual) {
            return Err(Refused::out_of_scope(attribute.group.name));
        }
        if user.attributes.contains_key(&attribute.name) {
            return Err(exists(&attribute.name));
        }
        let mut echo = item.clone();
        if item.raw("label").is_some() {
            echo.put("label", &attribute.label);
        }
        echo.put("name", &attribute.name);
        echo.put("priority", attribute.priority);
        let object = if full { attribute.object(&[]) } else { echo };
        user.attributes.insert(attribute.name.clone(), attribute);
        Ok(object)
    }
}

fn custom(index: usize, item: &Object, manual: bool) -> Result<Attribute, Refused> {
    require(index, item, &["label", "group", "value_type"])?;
    let mut label = name_of(item, "label")?;
    let group = name_of(item, "group")?;
    let group = group_named(&group).ok_or_else(|| Refused::validation(format!("There is no group '{group}'")))?;
    let value_type = item.get::<u8>("value_type").and_then(ValueType::from_code);
    let value_type = value_type
        .filter(|kind| *kind != ValueType::TimeFromMidday)
        .ok_or_else(|| Refused::validation("Invalid value_type"))?;
    let is_tag = group.name == "custom";
    if is_tag && value_type != ValueType::Boolean {
        return Err(Refused::validation("Attributes in group 'custom' must be boolean"));
    }
    if is_tag {
        label = label.to_lowercase();
    }
    let name = slug(&label);
    if name.is_empty() {
        return Err(Refused::validation("Label must contain letters or digits"));
    }
    Ok(Attribute {
        template: None,
        name,
        label,
        group,
        owner: None,
        active: true,
        priority: if is_tag { TAG_PRIORITY } else { CUSTOM_PRIORITY },
        manual,
        value_type,
        rows: BTreeMap::new(),
        writes: BTreeMap::new(),
        foreign: BTreeMap::new(),
    })
}

fn exists(name: &str) -> Refused {
    let text = format!("Attribute with name '{name}' already exists");
    Refused { name: Some(name.to_owned()), ..Refused::new("exists", text) }
}

fn flag(item: &Object, key: &str) -> Result<Option<bool>, Refused> {
    match item.raw(key) {
        None => Ok(None),
        Some("true") => Ok(Some(true)),
        Some("false") => Ok(Some(false)),
        Some(_) => Err(Refused::validation(format!("'{key}' must be true or false"))),
    }
}

/// The identifier Exist makes of a label: lower case, all else than ASCII letters and digits one underscore.
fn slug(label: &str) -> String {
    let lower = label.to_lowercase();
    let words: Vec<&str> = lower.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty()).collect();
    words.join("_")
}

#[cfg(test)]
mod tests {
    use super::slug;

    #[test]
    fn a_slug_is_lower_case_words_joined_by_single_underscores() {
        assert_eq!(slug("Time reading"), "time_reading");
        assert_eq!(slug("  Deep -- Work (h)! "), "deep_work_h");
        assert_eq!(slug("☕"), "");
    }
}
