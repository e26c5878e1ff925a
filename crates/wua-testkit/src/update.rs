//! Updates for tests: a bundle of one package, `NAME 2` over `NAME 1`, unless told otherwise.

use sha2::{Digest as _, Sha256};
use uuid::Uuid;
use wua_types::{
    Category, DownloadContent, InstallationBehavior, InstallationImpact, InstallationRebootBehavior,
    PackageChange, Update, UpdateId, UpdateIdentity,
};

/// Makes an update.
#[derive(Clone, Debug)]
#[must_use]
pub struct UpdateBuilder {
    name: String,
    update: Update,
    from: Option<String>,
}

/// The bytes of the archive of one version of a package, as the tests pretend them.
pub fn archive(name: &str, version: &str) -> Vec<u8> {
    format!("archive of {name} {version}").into_bytes()
}

impl UpdateBuilder {
    /// An update of the package `name` from version 1 to 2, titled `NAME 2`. Its id follows from the name.
    pub fn new(name: &str) -> Self {
        let digest = Sha256::digest(name);
        let id = Uuid::from_slice(&digest[..16]).expect("16 bytes");
        let identity = UpdateIdentity {
            update_id: UpdateId(id),
            revision_number: 1,
        };
        let mut update = Update::new(identity, format!("{name} 2"));
        update.installation_behavior = Some(InstallationBehavior::quiet(
            InstallationRebootBehavior::NeverReboots,
        ));
        update.max_download_size = archive(name, "2").len() as u64;
        update.min_download_size = update.max_download_size;
        Self {
            name: name.into(),
            update,
            from: Some("1".into()),
        }
    }

    /// With another title.
    pub fn title(mut self, title: &str) -> Self {
        self.update.title = title.into();
        self
    }

    /// With licence terms that nobody accepted yet.
    pub fn with_declined_terms(mut self) -> Self {
        self.update.eula_accepted = false;
        self.update.eula_text = Some("All rights reserved.".into());
        self
    }

    /// To be installed and taken back alone.
    pub fn exclusive(mut self) -> Self {
        let behavior = InstallationBehavior {
            impact: InstallationImpact::RequiresExclusiveHandling,
            ..InstallationBehavior::quiet(InstallationRebootBehavior::NeverReboots)
        };
        self.update.installation_behavior = Some(behavior);
        self.update.uninstallation_behavior = Some(behavior);
        self
    }

    /// That cannot be installed without questions.
    pub fn asking(mut self) -> Self {
        let behavior = InstallationBehavior::quiet(InstallationRebootBehavior::NeverReboots);
        self.update.installation_behavior = Some(InstallationBehavior {
            can_request_user_input: true,
            ..behavior
        });
        self
    }

    /// Found installed.
    pub fn installed(mut self) -> Self {
        self.update.is_installed = true;
        self
    }

    /// In a category.
    pub fn category(mut self, category: Category) -> Self {
        self.update.categories.push(category);
        self
    }

    /// Of so many bytes to download.
    pub fn download_size(mut self, bytes: u64) -> Self {
        self.update.min_download_size = bytes;
        self.update.max_download_size = bytes;
        self
    }

    /// Adding a package that was not there before.
    pub fn adding(mut self) -> Self {
        self.from = None;
        self
    }

    /// The update.
    pub fn build(self) -> Update {
        let Self {
            name,
            mut update,
            from,
        } = self;
        let bytes = archive(&name, "2");
        update.package = Some(PackageChange {
            content: Some(DownloadContent {
                url: format!("https://archive.invalid/{name}_2_all.deb"),
                size: bytes.len() as u64,
                sha256: hex::encode(Sha256::digest(&bytes)),
            }),
            name,
            architecture: "all".into(),
            installed: from,
            candidate: Some("2".into()),
            installed_size: 1,
        });
        update
    }
}
