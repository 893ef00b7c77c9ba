//! Passwords and keys: made once, never replaced here.

use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};

use super::{InitError, files::Store, layout::SecretFile};

/// One secret, the same in each of `files`; a lost copy is made from one that is still there.
pub fn ensure(store: &Store<'_>, files: &[SecretFile]) -> Result<(), InitError> {
    let mut known: Option<(SecretFile, String)> = None;
    let mut missing = Vec::new();
    for &file in files {
        let Some(text) = store.read(file)? else {
            missing.push(file);
            continue;
        };
        // A person's editor ends the file with a newline; that is no part of the secret.
        let secret = text.trim_end().to_owned();
        match &known {
            Some((first, other)) if *other != secret => {
                return Err(InitError::Differ(*first, file));
            }
            Some(_) => {}
            None => known = Some((file, secret)),
        }
        println!("kept {file}");
    }
    let secret = match known {
        Some((_, secret)) => secret,
        None => random()?,
    };
    for file in missing {
        store.write(file, &secret)?;
        println!("made {file}");
    }
    Ok(())
}

/// 32 bytes as base64url: 43 letters that need no quoting anywhere.
pub fn random() -> Result<String, InitError> {
    let mut bytes = [0; 32];
    SystemRandom::new().fill(&mut bytes).map_err(|_| InitError::Random)?;
    Ok(BASE64_URL_SAFE_NO_PAD.encode(bytes))
}
