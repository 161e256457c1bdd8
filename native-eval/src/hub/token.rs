//! The user's token for the hub, looked for where huggingface_hub looks for it.

use super::cache::{expand_user, home, variable};
use super::is_set;
use crate::input;

/// Longest file of a token.
const FILE_BYTES: u64 = 4 << 10;

/// The token: HF_TOKEN, else HUGGING_FACE_HUB_TOKEN, else the file that `hf auth login` writes (HF_TOKEN_PATH, else
/// `token` below HF_HOME). None where HF_HUB_DISABLE_IMPLICIT_TOKEN says so.
pub fn find() -> Option<String> {
    if is_set("HF_HUB_DISABLE_IMPLICIT_TOKEN") {
        return None;
    }
    let given = variable("HF_TOKEN").or_else(|| variable("HUGGING_FACE_HUB_TOKEN"));
    let token = given.and_then(|token| clean(token.into_encoded_bytes()));
    token.or_else(of_file)
}

/// The token of the file, if there is one that can be read: public models need none.
fn of_file() -> Option<String> {
    let path =
        variable("HF_TOKEN_PATH").map(expand_user).or_else(|| home().map(|home| home.join("token")))?;
    clean(input::read_bytes(&path, "the token", FILE_BYTES).ok()?)
}

/// A token without the line ends around it; nothing where a header can't hold it.
fn clean(bytes: Vec<u8>) -> Option<String> {
    let token = String::from_utf8(bytes).ok()?.replace(['\r', '\n'], "").trim().to_owned();
    (!token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic())).then_some(token)
}
