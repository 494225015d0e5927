//! Permissions, `{module}.{action}`, and the sets of them that roles hold.
//!
//! [`MODULES`] is the whole list. A permission that is not in it cannot be parsed, granted or asked for, so a typing
//! error is found where it is made. A record's module carries the record's plural name.

use std::{collections::BTreeMap, fmt, str::FromStr};

pub use entity::master::DataScope;

/// What may be done within a module.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Action {
    /// See records: in lists, counts, search, exports, subscriptions and federation alike.
    Read,
    /// Create and change records.
    Write,
    /// Delete records (they can be restored).
    Delete,
    /// Bring deleted records back.
    Restore,
    /// Make somebody else the owner of a record.
    Assign,
    /// Load records from a file.
    Import,
    /// Win, lose or reopen an opportunity.
    Close,
    /// Invite, change and disable users.
    ManageUsers,
    /// Create, change and delete roles.
    ManageRoles,
    /// Create, suspend and delete tenants; for platform administrators only.
    ManageTenants,
}

impl Action {
    /// Every action.
    pub const ALL: &[Self] = &[
        Self::Read,
        Self::Write,
        Self::Delete,
        Self::Restore,
        Self::Assign,
        Self::Import,
        Self::Close,
        Self::ManageUsers,
        Self::ManageRoles,
        Self::ManageTenants,
    ];

    /// The part of a permission's name after the dot.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Delete => "delete",
            Self::Restore => "restore",
            Self::Assign => "assign",
            Self::Import => "import",
            Self::Close => "close",
            Self::ManageUsers => "manage_users",
            Self::ManageRoles => "manage_roles",
            Self::ManageTenants => "manage_tenants",
        }
    }
}

/// A module and the actions that mean something in it.
pub struct Module {
    /// The record's plural name.
    pub name: &'static str,
    /// What can be granted.
    pub actions: &'static [Action],
    /// What kind of module it is, which decides what the built-in roles get.
    pub kind: ModuleKind,
}

/// What the built-in roles get of a module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ModuleKind {
    /// Daily work: agents read and write, managers do everything.
    Business,
    /// What daily work refers to: agents read, managers do everything.
    Catalogue,
    /// Administration: only Admin writes; who else reads is said at the role.
    Administration,
}

const OWNED: &[Action] =
    &[Action::Read, Action::Write, Action::Delete, Action::Restore, Action::Assign, Action::Import];
const UNOWNED: &[Action] = &[Action::Read, Action::Write, Action::Delete, Action::Restore, Action::Import];

/// Every module, in the order in which people should see them.
pub const MODULES: &[Module] = &[
    Module { name: "customers", actions: OWNED, kind: ModuleKind::Business },
    Module { name: "contacts", actions: OWNED, kind: ModuleKind::Business },
    Module { name: "leads", actions: OWNED, kind: ModuleKind::Business },
    Module {
        name: "opportunities",
        actions: &[
            Action::Read,
            Action::Write,
            Action::Delete,
            Action::Restore,
            Action::Assign,
            Action::Import,
            Action::Close,
        ],
        kind: ModuleKind::Business,
    },
    Module { name: "activities", actions: OWNED, kind: ModuleKind::Business },
    Module { name: "interactions", actions: OWNED, kind: ModuleKind::Business },
    Module { name: "tickets", actions: OWNED, kind: ModuleKind::Business },
    // Everybody's own: nobody sees those of others.
    Module { name: "notifications", actions: &[Action::Read], kind: ModuleKind::Business },
    Module { name: "products", actions: UNOWNED, kind: ModuleKind::Catalogue },
    Module { name: "pipelines", actions: UNOWNED, kind: ModuleKind::Catalogue },
    Module { name: "users", actions: &[Action::Read, Action::Import], kind: ModuleKind::Administration },
    Module { name: "roles", actions: &[Action::Read], kind: ModuleKind::Administration },
    Module {
        name: "api_keys",
        actions: &[Action::Read, Action::Write, Action::Delete],
        kind: ModuleKind::Administration,
    },
    // Who writes them decides where the links of invitations and password e-mails are shown.
    Module { name: "email_templates", actions: &[Action::Read, Action::Write], kind: ModuleKind::Administration },
    Module {
        name: "webhooks",
        actions: &[Action::Read, Action::Write, Action::Delete, Action::Restore],
        kind: ModuleKind::Administration,
    },
    Module { name: "audit", actions: &[Action::Read], kind: ModuleKind::Administration },
    Module {
        name: "admin",
        actions: &[Action::ManageUsers, Action::ManageRoles, Action::ManageTenants],
        kind: ModuleKind::Administration,
    },
];

/// One permission. Only those that [`MODULES`] lists can be parsed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Permission {
    /// The module's name.
    pub module: &'static str,
    /// The action within it.
    pub action: Action,
}

impl Permission {
    /// A permission by its parts, for code that names them literally.
    #[must_use]
    pub const fn new(module: &'static str, action: Action) -> Self {
        Self { module, action }
    }

    /// Every permission there is.
    pub fn all() -> impl Iterator<Item = Self> {
        MODULES.iter().flat_map(|module| module.actions.iter().map(|action| Self::new(module.name, *action)))
    }
}

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.module, self.action.name())
    }
}

impl FromStr for Permission {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        text.split_once('.')
            .and_then(|(module, action)| {
                let module = MODULES.iter().find(|of| of.name == module)?;
                let action = module.actions.iter().find(|of| of.name() == action)?;
                Some(Self::new(module.name, *action))
            })
            .ok_or_else(|| format!("there is no permission \"{text}\""))
    }
}

/// A set of permissions. The check costs one look-up and allocates nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PermissionSet(BTreeMap<&'static str, u32>);

impl PermissionSet {
    /// Whether the set holds this permission.
    #[must_use]
    pub fn allows(&self, permission: Permission) -> bool {
        self.0.get(permission.module).is_some_and(|bits| bits & (1 << permission.action as u8) != 0)
    }

    /// Adds a permission.
    pub fn grant(&mut self, permission: Permission) {
        *self.0.entry(permission.module).or_default() |= 1 << permission.action as u8;
    }

    /// The permissions in the set, in the order of [`MODULES`].
    pub fn iter(&self) -> impl Iterator<Item = Permission> {
        Permission::all().filter(|permission| self.allows(*permission))
    }

    /// The first permission of this set that the other lacks.
    #[must_use]
    pub fn beyond(&self, other: &Self) -> Option<Permission> {
        self.iter().find(|permission| !other.allows(*permission))
    }

    /// The permissions that both sets hold.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        self.iter().filter(|permission| other.allows(*permission)).collect()
    }

    /// The names of the permissions in the set.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        self.iter().map(|permission| permission.to_string()).collect()
    }
}

impl FromIterator<Permission> for PermissionSet {
    fn from_iter<I: IntoIterator<Item = Permission>>(permissions: I) -> Self {
        let mut set = Self::default();
        permissions.into_iter().for_each(|permission| set.grant(permission));
        set
    }
}

/// A role that every tenant has from the start and that cannot be changed or deleted.
pub struct BuiltInRole {
    /// The role's name.
    pub name: &'static str,
    /// What it is for.
    pub description: &'static str,
    /// The records it reaches.
    pub scope: DataScope,
    grants: fn(&Module, Action) -> bool,
}

impl BuiltInRole {
    /// What the role may do.
    #[must_use]
    pub fn permissions(&self) -> PermissionSet {
        MODULES
            .iter()
            .flat_map(|module| module.actions.iter().map(move |action| (module, *action)))
            .filter(|(module, action)| (self.grants)(module, *action))
            .map(|(module, action)| Permission::new(module.name, action))
            .collect()
    }
}

/// The roles of every tenant.
pub const BUILT_IN_ROLES: &[BuiltInRole] = &[
    BuiltInRole {
        name: "Admin",
        description: "Everything in the tenant",
        scope: DataScope::All,
        grants: |_, action| action != Action::ManageTenants,
    },
    BuiltInRole {
        name: "Manager",
        description: "All business records of the tenant",
        scope: DataScope::All,
        grants: |module, action| match module.kind {
            ModuleKind::Business | ModuleKind::Catalogue => true,
            ModuleKind::Administration => module.name == "users" && action == Action::Read,
        },
    },
    BuiltInRole {
        name: "Agent",
        description: "Daily work on the records that the user created or owns",
        scope: DataScope::Own,
        grants: |module, action| match module.kind {
            ModuleKind::Business => matches!(action, Action::Read | Action::Write | Action::Close),
            ModuleKind::Catalogue => action == Action::Read,
            ModuleKind::Administration => module.name == "users" && action == Action::Read,
        },
    },
    BuiltInRole {
        name: "Viewer",
        description: "Reads all business records of the tenant",
        scope: DataScope::All,
        grants: |module, action| {
            action == Action::Read && (module.kind != ModuleKind::Administration || module.name == "users")
        },
    },
];
