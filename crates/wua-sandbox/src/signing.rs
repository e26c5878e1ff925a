//! The archive's OpenPGP key: made on the fly, kept in the machine (it is a throw-away), used for clear signatures.
//!
//! A version 4 EdDSA key (Curve25519) with SHA-512: made in microseconds, and accepted both by the gpgv of Debian 12
//! and by the sqv of Debian 13.

use pgp::composed::{
    ArmorOptions, CleartextSignedMessage, Deserializable, KeyType, SecretKeyParamsBuilder, SignedSecretKey,
};
use pgp::crypto::hash::HashAlgorithm;
use pgp::crypto::public_key::PublicKeyAlgorithm;
use pgp::packet::{SignatureConfig, SignatureType, Subpacket, SubpacketData};
use pgp::types::{KeyDetails as _, Password, Timestamp};
use rand::rngs::OsRng;

use crate::error::SandboxError;

/// A key that signs the `Release` files of one archive.
#[derive(Clone, Debug)]
pub(crate) struct ArchiveKey(SignedSecretKey);

impl ArchiveKey {
    pub(crate) fn generate() -> Result<Self, SandboxError> {
        let params = SecretKeyParamsBuilder::default()
            .key_type(KeyType::Ed25519Legacy)
            .can_certify(true)
            .can_sign(true)
            .preferred_hash_algorithms([HashAlgorithm::Sha512].into_iter().collect())
            .primary_user_id("Practice Archive (throw-away) <archive@practice.invalid>".into())
            .build()
            .expect("the parameters are fixed and complete");
        params
            .generate(OsRng)
            .map(Self)
            .map_err(SandboxError::signing("make"))
    }

    pub(crate) fn from_armored(text: &str) -> Result<Self, SandboxError> {
        SignedSecretKey::from_string(text)
            .map(|(key, _)| Self(key))
            .map_err(SandboxError::signing("read"))
    }

    pub(crate) fn to_armored(&self) -> Result<String, SandboxError> {
        self.0
            .to_armored_string(ArmorOptions::default())
            .map_err(SandboxError::signing("write"))
    }

    /// The public part, for `Signed-By`.
    pub(crate) fn public_armored(&self) -> Result<String, SandboxError> {
        let public = self.0.to_public_key();
        public
            .to_armored_string(ArmorOptions::default())
            .map_err(SandboxError::signing("publish"))
    }

    /// Signs a text that does not end with a line end, in the clear (`InRelease`).
    pub(crate) fn clear_sign(&self, text: &str) -> Result<String, SandboxError> {
        let sign = || {
            let key = &self.0.primary_key;
            let mut config = SignatureConfig::v4(
                SignatureType::Text,
                PublicKeyAlgorithm::EdDSALegacy,
                HashAlgorithm::Sha512,
            );
            config.hashed_subpackets = vec![
                Subpacket::regular(SubpacketData::SignatureCreationTime(Timestamp::now()))?,
                Subpacket::regular(SubpacketData::IssuerFingerprint(key.fingerprint()))?,
            ];
            config.unhashed_subpackets = vec![Subpacket::regular(SubpacketData::IssuerKeyId(
                key.legacy_key_id(),
            ))?];
            let signed = CleartextSignedMessage::new(text, config, key, &Password::empty())?;
            signed.to_armored_string(ArmorOptions::default())
        };
        sign().map_err(SandboxError::signing("sign with"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_read_back_signs_what_the_first_one_verifies() {
        let key = ArchiveKey::generate().unwrap();
        let again = ArchiveKey::from_armored(&key.to_armored().unwrap()).unwrap();
        let text = again.clear_sign("Origin: Practice\n- dashed").unwrap();
        let (signed, _) = CleartextSignedMessage::from_string(&text).unwrap();
        signed.verify(&key.0.to_public_key()).unwrap();
        assert!(text.contains("\nHash: SHA512\n"));
    }
}
