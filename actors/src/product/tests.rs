//! Properties over random command sequences.

use nakku_cluster::Key;

use super::command::{Command, Details, Price, Rejection, Reply};
use super::decide::is_ean13;
use super::{Product, service};
use crate::simulation::{Faults, Random, World, with_seeds};

fn details(random: &mut Random) -> Details {
    Details {
        name: (*random.one_of(&["Butter", "Salted Butter", "", " Butter", "But\nter"])).into(),
        brand: "Amul".into(),
        barcode: (*random.one_of(&["8901262010016", "8901262010023", "890126201001", "89012620100a6"])).into(),
        unit: "500 g".into(),
        category: (*random.one_of(&["dairy", "bakery", "Dairy"])).into(),
    }
}

fn price(random: &mut Random) -> Price {
    Price {
        mrp_minor: *random.one_of(&[28_500, 30_000, 0, i64::MAX]),
        price_minor: *random.one_of(&[27_500, 28_500, 29_000, 0, -1]),
        tax_basis_points: *random.one_of(&[500, 1_200, 1_300]),
    }
}

#[test]
fn what_is_in_the_catalogue_is_always_valid_and_the_archive_never_changes() {
    with_seeds(20, |seed| {
        let mut world = World::new(&[service()], seed);
        world.faults = Faults::MANY;
        let key = Key::new("p-butter").unwrap();
        let mut archived = None;
        for _ in 0..300 {
            let command = match world.random.below(10) {
                0..=3 => Command::Create { details: details(&mut world.random), price: price(&mut world.random) },
                4..=5 => Command::Update { details: details(&mut world.random) },
                6..=8 => Command::ChangePrice { price: price(&mut world.random) },
                _ if world.random.percent(5) => Command::Archive,
                _ => Command::Get,
            };
            let first = world.ask::<Product>(&key, &command);
            let Ok(Reply::Product(product)) = &first else { continue };
            assert_eq!(world.ask::<Product>(&key, &command), first, "repeating {command:?} changes nothing");
            assert!(is_ean13(&product.details.barcode), "{product:?}");
            assert!(!product.details.name.is_empty() && !product.details.name.starts_with(' '), "{product:?}");
            assert!(0 < product.price.price_minor && product.price.price_minor <= product.price.mrp_minor);
            if let Some(archived) = &archived {
                assert_eq!(product, archived);
            } else if product.archived {
                archived = Some(product.clone());
            }
        }
    });
}

#[test]
fn refusals_name_the_field() {
    let mut world = World::new(&[service()], 1);
    let key = Key::new("p-butter").unwrap();
    let fine = Details {
        name: "Butter".into(),
        brand: "Amul".into(),
        barcode: "8901262010016".into(),
        unit: "500 g".into(),
        category: "dairy".into(),
    };
    let price = Price { mrp_minor: 28_500, price_minor: 27_500, tax_basis_points: 500 };
    assert_eq!(world.ask::<Product>(&key, &Command::Get), Err(Rejection::NotFound));
    let wrong = [
        ("price_minor", fine.clone(), Price { price_minor: 28_501, ..price }),
        ("mrp_minor", fine.clone(), Price { mrp_minor: 0, ..price }),
        ("tax_basis_points", fine.clone(), Price { tax_basis_points: 1, ..price }),
        ("barcode", Details { barcode: "8901262010017".into(), ..fine.clone() }, price),
        ("name", Details { name: "x".repeat(121), ..fine.clone() }, price),
        ("category", Details { category: "Dairy".into(), ..fine.clone() }, price),
    ];
    for (field, details, price) in wrong {
        match world.ask::<Product>(&key, &Command::Create { details, price }) {
            Err(Rejection::Invalid { field: named, .. }) => assert_eq!(named, field),
            other => panic!("{field}: {other:?}"),
        }
    }
    let create = Command::Create { details: fine.clone(), price };
    assert!(world.ask::<Product>(&key, &create).is_ok());
    let other = Command::Create { details: Details { name: "Ghee".into(), ..fine.clone() }, price };
    assert_eq!(world.ask::<Product>(&key, &other), Err(Rejection::AlreadyExists));
    assert!(world.ask::<Product>(&key, &Command::Archive).is_ok());
    assert_eq!(world.ask::<Product>(&key, &Command::Update { details: fine }), Err(Rejection::Archived));
}

#[test]
fn barcodes_are_checked() {
    for right in ["8901262010016", "4006381333931", "5901234123457"] {
        assert!(is_ean13(right), "{right}");
    }
    for wrong in ["", "4006381333932", "400638133393", "40063813339311", "400638133393é", "0000000000001"] {
        assert!(!is_ean13(wrong), "{wrong}");
    }
}
