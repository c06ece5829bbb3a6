//! PKCS #7 signatures (RFC 2315) as firmware reads them: one signer, RSA with SHA-256, its certificate beside it.
//!
//! No signing time: nobody checks it, and without it the same content is signed to the same bytes.

use livery_contract::{Digest, Fault, Result};
use yasna::{
    DERWriter, Tag, construct_der,
    models::{ObjectIdentifier, TaggedDerValue},
    tags::TAG_INTEGER,
};

use super::signer::Signer;

/// PKCS #9 content type and message digest (RFC 2985, section 5.3).
const CONTENT_TYPE: &[u64] = &[1, 2, 840, 113_549, 1, 9, 3];
const MESSAGE_DIGEST: &[u64] = &[1, 2, 840, 113_549, 1, 9, 4];
const DATA: &[u64] = &[1, 2, 840, 113_549, 1, 7, 1];
const SIGNED_DATA: &[u64] = &[1, 2, 840, 113_549, 1, 7, 2];
const RSA: &[u64] = &[1, 2, 840, 113_549, 1, 1, 1];
const SHA256: &[u64] = &[2, 16, 840, 1, 101, 3, 4, 2, 1];

/// An object identifier as DER's writer wants it.
pub(super) fn oid(parts: &[u64]) -> ObjectIdentifier {
    ObjectIdentifier::from_slice(parts)
}

/// AlgorithmIdentifier of SHA-256, with the NULL that older firmware looks for.
pub(super) fn sha256(writer: DERWriter<'_>) {
    algorithm(writer, SHA256);
}

fn algorithm(writer: DERWriter<'_>, parts: &[u64]) {
    writer.write_sequence(|writer| {
        writer.next().write_oid(&oid(parts));
        writer.next().write_null();
    });
}

/// An attribute with one value: a type and a SET OF values, as in a SignerInfo.
fn attribute(parts: &[u64], value: impl FnOnce(DERWriter<'_>)) -> Vec<u8> {
    construct_der(|writer| {
        writer.write_sequence(|writer| {
            writer.next().write_oid(&oid(parts));
            writer.next().write_set_of(|writer| value(writer.next()));
        });
    })
}

/// A signature over data that lies elsewhere, as variables carry it (UEFI 2.10, section 8.2.2): a bare SignedData, and no
/// attributes, so what is signed is the data itself.
///
/// # Errors
/// Exit 1 where the key does not sign.
pub(crate) fn detached(signer: &Signer, data: &[u8]) -> Result<Vec<u8>> {
    let signature = signer.sign(data)?;
    Ok(construct_der(|writer| signed_data(writer, signer, &signature, Parts::default(), data_elsewhere)))
}

/// The same as kernel and OpenSSL read it: a ContentInfo. Without the certificate, which the reader must have to believe it.
///
/// # Errors
/// Exit 1 where the key does not sign.
pub(crate) fn detached_content_info(signer: &Signer, data: &[u8]) -> Result<Vec<u8>> {
    let signature = signer.sign(data)?;
    let parts = Parts { attributes: None, certificate: false };
    Ok(construct_der(|writer| {
        content_info(writer, |writer| signed_data(writer, signer, &signature, parts, data_elsewhere));
    }))
}

fn data_elsewhere(writer: DERWriter<'_>) {
    writer.write_sequence(|writer| writer.next().write_oid(&oid(DATA)));
}

/// ContentInfo (RFC 2315, section 7) around a SignedData.
fn content_info(writer: DERWriter<'_>, signed_data: impl FnOnce(DERWriter<'_>)) {
    writer.write_sequence(|writer| {
        writer.next().write_oid(&oid(SIGNED_DATA));
        writer.next().write_tagged(Tag::context(0), signed_data);
    });
}

/// A signature around the content, a DER SEQUENCE of type `kind`, as EFI programs carry it (Windows Authenticode Portable
/// Executable Signature Format, 2008): a ContentInfo; what is signed are attributes that name the content's digest.
/// `attributes` are those that the content's type wants besides.
///
/// # Errors
/// Exit 1 where the key does not sign.
pub(crate) fn enclosing(signer: &Signer, kind: &[u64], content: &[u8], attributes: Vec<(&[u64], Vec<u8>)>) -> Result<Vec<u8>> {
    // The digest is over the value alone, without the tag and length of its SEQUENCE (RFC 2315, section 9.3).
    let value = yasna::parse_der(content, |reader| reader.read_tagged_der())
        .map_err(|error| Fault::internal("the content of a signature is not DER").cause(error))?;
    let digest = Digest::of(value.value());
    let mut all = vec![
        attribute(CONTENT_TYPE, |writer| writer.write_oid(&oid(kind))),
        attribute(MESSAGE_DIGEST, |writer| writer.write_bytes(digest.as_bytes())),
    ];
    all.extend(attributes.into_iter().map(|(parts, value)| attribute(parts, |writer| writer.write_der(&value))));
    let set = construct_der(|writer| {
        writer.write_set_of(|writer| {
            for one in &all {
                writer.next().write_der(one);
            }
        });
    });
    let signature = signer.sign(&set)?;
    let parts = Parts { attributes: Some(&set), certificate: true };
    Ok(construct_der(|writer| {
        content_info(writer, |writer| {
            signed_data(writer, signer, &signature, parts, |writer| {
                writer.write_sequence(|writer| {
                    writer.next().write_oid(&oid(kind));
                    writer.next().write_tagged(Tag::context(0), |writer| writer.write_der(content));
                });
            });
        });
    }))
}

/// What a SignedData may hold besides.
struct Parts<'a> {
    /// The SET OF that was signed instead of the content.
    attributes: Option<&'a [u8]>,
    /// Whether the signer's certificate is in it.
    certificate: bool,
}

impl Default for Parts<'_> {
    fn default() -> Self {
        Self { attributes: None, certificate: true }
    }
}

/// SignedData (RFC 2315, section 9.1).
fn signed_data(writer: DERWriter<'_>, signer: &Signer, signature: &[u8], parts: Parts<'_>, content: impl FnOnce(DERWriter<'_>)) {
    writer.write_sequence(|writer| {
        writer.next().write_u8(1);
        writer.next().write_set_of(|writer| sha256(writer.next()));
        content(writer.next());
        if parts.certificate {
            writer.next().write_tagged_implicit(Tag::context(0), |writer| {
                writer.write_set_of(|writer| writer.next().write_der(signer.certificate()));
            });
        }
        writer.next().write_set_of(|writer| {
            writer.next().write_sequence(|writer| {
                writer.next().write_u8(1);
                writer.next().write_sequence(|writer| {
                    writer.next().write_der(signer.issuer());
                    let serial = TaggedDerValue::from_tag_and_bytes(TAG_INTEGER, signer.serial().to_vec());
                    writer.next().write_tagged_der(&serial);
                });
                sha256(writer.next());
                if let Some(set) = parts.attributes {
                    // [0] IMPLICIT in place of the SET's own tag, which is what was signed.
                    let mut implicit = set.to_vec();
                    implicit[0] = 0xa0;
                    writer.next().write_der(&implicit);
                }
                algorithm(writer.next(), RSA);
                writer.next().write_bytes(signature);
            });
        });
    });
}
