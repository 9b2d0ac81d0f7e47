//! What a shop needs before anybody can buy, made through the API.

use std::net::SocketAddr;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::error::BenchError;

use super::client::Client;
use super::server::{ADMIN_TOKEN, Server};

const STAFF_EMAIL: &str = "staff@bench.example";
const PASSWORD: &str = "bench-password-2041";
/// Of each product, in minor units.
pub const PRICE_MINOR: i64 = 5500;
/// The most units of one supply.
pub const SUPPLY_MAX: u32 = 1_000_000;
/// How many customers register side by side: a password's hash takes a core.
const REGISTRATIONS: usize = 4;

/// An open session.
#[derive(Clone, Debug, Deserialize)]
pub struct Session {
    /// The bearer token.
    pub access_token: String,
}

/// Makes a member of staff and logs in as such.
///
/// # Errors
/// When the API refuses.
pub async fn staff(server: &Server) -> Result<Client, BenchError> {
    employee(server, STAFF_EMAIL, "admin", None).await
}

/// Makes a user with a role, at a store or at none, and logs in as such.
///
/// # Errors
/// When the API refuses.
pub async fn employee(server: &Server, email: &str, role: &str, store: Option<&str>) -> Result<Client, BenchError> {
    let mut admin = Client::new(server.admin).with_token(ADMIN_TOKEN);
    let body = json!({ "email": email, "name": "Staff", "password": PASSWORD, "roles": [role], "store": store });
    admin.json::<Value>("POST", "/admin/v1/users", "", &body.to_string(), &[200, 201]).await?;
    let mut client = Client::new(server.api);
    let body = json!({ "email": email, "password": PASSWORD });
    let session: Session = client.json("POST", "/api/v1/auth/login", "", &body.to_string(), &[200]).await?;
    Ok(client.with_token(&session.access_token))
}

/// Adds a product and supplies stores with it.
///
/// # Errors
/// When the API refuses.
pub async fn product(staff: &mut Client, sku: &str, number: u32, stores: &[(&str, u32)]) -> Result<(), BenchError> {
    let body = json!({
        "sku": sku,
        "name": format!("Butter of batch {number}"),
        "brand": "Bench",
        "barcode": ean_13(number),
        "unit": "500 g",
        "category": "dairy",
        "mrp_minor": PRICE_MINOR,
        "price_minor": PRICE_MINOR,
        "tax_basis_points": 500,
    });
    staff.json::<Value>("POST", "/api/v1/products", "", &body.to_string(), &[201]).await?;
    for (store, quantity) in stores {
        let lines = json!([{ "sku": sku, "quantity": quantity }]);
        let body = json!({ "receipt": format!("{sku}-first"), "lines": lines });
        staff.json::<Value>("POST", &format!("/api/v1/stores/{store}/stock"), "", &body.to_string(), &[200]).await?;
    }
    Ok(())
}

/// Registers so many customers and returns their sessions.
///
/// # Errors
/// When the API refuses.
pub async fn customers(api: SocketAddr, label: &str, count: usize) -> Result<Vec<Session>, BenchError> {
    let mut workers = tokio::task::JoinSet::new();
    for worker in 0..REGISTRATIONS {
        let label = label.to_owned();
        workers.spawn(async move {
            let mut client = Client::new(api);
            let mut sessions = Vec::new();
            for number in (worker..count).step_by(REGISTRATIONS) {
                let email = format!("{label}-{number}@bench.example");
                let body = json!({ "email": email, "password": PASSWORD, "name": "A Customer" }).to_string();
                let session: Session = client.json("POST", "/api/v1/auth/register", "", &body, &[201]).await?;
                sessions.push(session);
            }
            Ok::<_, BenchError>(sessions)
        });
    }
    let mut sessions = Vec::with_capacity(count);
    while let Some(ended) = workers.join_next().await {
        sessions.extend(ended.map_err(|error| BenchError::failed("registering", error))??);
    }
    Ok(sessions)
}

/// A barcode with its check digit (GS1 General Specifications, 7.9).
fn ean_13(number: u32) -> String {
    let digits = format!("890{number:09}");
    let weighted = digits.bytes().enumerate().map(|(place, digit)| u32::from(digit - b'0') * [1, 3][place % 2]);
    let check = (10 - weighted.sum::<u32>() % 10) % 10;
    format!("{digits}{check}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn barcodes_have_their_check_digit() {
        // 890 126 201 001 + 6, as in the API's own example.
        assert_eq!(ean_13(126_201_001), "8901262010016");
    }
}
