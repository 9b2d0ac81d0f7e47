//! Who works and buys at the demo shop.

use nakku_cluster::Key;

use super::{STORES, key};
use crate::position::Position;
use crate::user::command::{Address, Command, PasswordHash, Role};

/// The password of every account of the demo.
pub const PASSWORD: &str = "nakku-demo";

/// Somebody with an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// The user's key.
    pub user: Key,
    /// To log in with, together with [`PASSWORD`].
    pub email: String,
    /// As shown.
    pub name: &'static str,
    /// What they may do.
    pub role: Role,
    /// Where they work.
    pub store: Option<Key>,
}

/// The names of the riders, two for each store.
const RIDERS: [&str; 6] =
    ["Manjunath Gowda", "Imran Pasha", "Lakshmi Devi", "Arun Kumar", "Fatima Begum", "Joseph Raj"];

/// Everybody: six riders, a customer, somebody at each store, and at last the administrator.
pub fn accounts() -> Vec<Account> {
    let riders = RIDERS.into_iter().enumerate().map(|(at, name)| {
        let number = at + 1;
        account(&format!("rider{number}"), name, Role::Rider, Some(STORES[at % STORES.len()].key()))
    });
    let staff = STORES.iter().enumerate().map(|(at, store)| {
        let number = at + 1;
        account(&format!("store{number}"), store.area, Role::Store, Some(store.key()))
    });
    let customer = account("customer", "Asha Rao", Role::Customer, None);
    let admin = account("admin", "Kavya Shetty", Role::Admin, None);
    riders.chain([customer]).chain(staff).chain([admin]).collect()
}

impl Account {
    /// What makes the account, once its e-mail has been claimed.
    pub fn register(&self, password_hash: PasswordHash) -> Command {
        Command::Register {
            email: self.email.clone(),
            name: self.name.into(),
            password_hash,
            roles: vec![self.role],
            store: self.store.clone(),
        }
    }

    /// The customer's address.
    pub fn address(&self) -> Option<Command> {
        let address = Address {
            label: "home".into(),
            line: "12, 100 Feet Road, Indiranagar".into(),
            city: "Bengaluru".into(),
            pin_code: STORES[0].pin_code.into(),
            position: Position::from_degrees(12.971_9, 77.641_2),
        };
        (self.role == Role::Customer).then(|| Command::AddAddress { id: "home".into(), address })
    }
}

fn account(login: &str, name: &'static str, role: Role, store: Option<Key>) -> Account {
    let user = key(&format!("u-demo-{login}"));
    Account { user, email: format!("{login}@nakku.example"), name, role, store }
}
