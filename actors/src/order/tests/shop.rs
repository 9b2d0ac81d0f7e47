//! Orders together with stock, carts and payments, while calls are made twice, arrive late, lose their
//! answers, and everybody dies in the middle.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use nakku_cluster::{Answer, Key, Timestamp};

use super::super::command::{CancelReason, Command, DeliveryStep, Line, PaymentMethod, Placement, Rejection, Reply};
use super::super::{Details, Order, Status, order_key};
use super::{FEE_MINOR, PRICE_MINOR, SKUS, card, key, line, placement};
use crate::cart::{self, Cart};
use crate::inventory::{self, Stock};
use crate::payment::provider::{CardAnswer, CardOperation, CardRequest, SIMULATED_CARD, SimulatedCard};
use crate::payment::{self, Payment};
use crate::simulation::{Faults, World, with_seeds};
use crate::{delivery, services};

const DAY_MS: i64 = 24 * 60 * 60_000;

/// What the card network has on its books: by idempotency key, and what it keeps by order.
#[derive(Default)]
struct Books {
    seen: BTreeMap<String, (CardRequest, CardAnswer)>,
    kept_minor: BTreeMap<String, i64>,
}

impl Books {
    /// `key` is the order's, the step and the ordinal, each after a point.
    fn ask(&mut self, key: &Key, request: CardRequest) -> CardAnswer {
        if let Some((before, answer)) = self.seen.get(key.as_str()) {
            assert_eq!(*before, request, "one key, one request");
            return answer.clone();
        }
        let answer = SimulatedCard::answer(key.as_str(), &request);
        let order = key.as_str().rsplitn(3, '.').last().unwrap().to_owned();
        if matches!(answer, CardAnswer::Approved { .. }) {
            *self.kept_minor.entry(order).or_default() += match request.operation {
                CardOperation::Charge | CardOperation::Authorise => request.amount_minor,
                CardOperation::Refund | CardOperation::Void => -request.amount_minor,
                CardOperation::Capture => 0,
            };
        }
        self.seen.insert(key.as_str().to_owned(), (request, answer.clone()));
        answer
    }
}

type Deliveries = BTreeMap<Key, delivery::command::Stage>;

/// Services of the shop with a card network and a delivery that follow from nothing but what they are asked.
struct Shop {
    world: World,
    books: Arc<Mutex<Books>>,
    deliveries: Arc<Mutex<Deliveries>>,
    supplied: u32,
    orders: BTreeMap<Key, Placement>,
}

impl Shop {
    fn new(seed: u64, supplied: u32) -> Self {
        let mut world = World::new(&services(), seed);
        let books = Arc::new(Mutex::new(Books::default()));
        let network = Arc::clone(&books);
        let ask_network = move |key: &Key, request| {
            let request = serde_json::from_value(request).unwrap();
            Answer::Reply(serde_json::to_vec(&network.lock().unwrap().ask(key, request)).unwrap())
        };
        world.stand_in(SIMULATED_CARD, Box::new(ask_network));
        let deliveries = Arc::new(Mutex::new(Deliveries::new()));
        let bring = Arc::clone(&deliveries);
        let ask_delivery = move |key: &Key, command| {
            let command = serde_json::from_value(command).unwrap();
            deliver(&mut bring.lock().unwrap(), key, &command)
        };
        world.stand_in("delivery.delivery", Box::new(ask_delivery));
        let lines = SKUS.iter().map(|sku| inventory::Line { sku: (*sku).into(), quantity: supplied }).collect();
        world.ask::<Stock>(&key("s-1"), &inventory::Command::Supply { receipt: "r-1".into(), lines }).unwrap();
        Self { world, books, deliveries, supplied, orders: BTreeMap::new() }
    }

    fn fill_cart(&mut self, user: &Key, lines: &[Line]) -> u64 {
        for line in lines {
            let Line { sku, name, quantity, price_minor, .. } = line.clone();
            let line = cart::Line { sku, name, quantity, price_minor };
            // A cart that an order holds refuses; its user tries again later.
            let _ = self.world.ask::<Cart>(user, &cart::Command::Add { store: key("s-1"), line });
        }
        let Ok(cart::Reply::Cart(contents)) = self.world.ask::<Cart>(user, &cart::Command::Get) else {
            panic!("a cart")
        };
        contents.version
    }

    fn place(&mut self, user: &Key, idempotency_key: &str, placement: Placement) -> Key {
        let order = order_key(user, idempotency_key);
        let placement = self.orders.entry(order.clone()).or_insert(placement).clone();
        self.world.ask::<Order>(&order, &Command::Place(Box::new(placement))).unwrap();
        order
    }

    fn details(&mut self, order: &Key) -> Details {
        match self.world.ask::<Order>(order, &Command::Get) {
            Ok(Reply::Order(details)) => *details,
            other => panic!("an order, not {other:?}"),
        }
    }

    fn status(&mut self, order: &Key) -> Status {
        self.details(order).summary.status
    }

    fn payment(&mut self, order: &Key) -> payment::Details {
        match self.world.ask::<Payment>(order, &payment::Command::Get) {
            Ok(payment::Reply::Payment(details)) => details,
            other => panic!("a payment, not {other:?}"),
        }
    }

    fn levels(&mut self) -> Vec<inventory::Level> {
        let skus = SKUS.iter().map(|sku| (*sku).to_owned()).collect();
        match self.world.ask::<Stock>(&key("s-1"), &inventory::Command::Get { skus }) {
            Ok(inventory::Reply::Levels { levels, .. }) => levels,
            other => panic!("levels, not {other:?}"),
        }
    }

    /// A rider goes a step on with a random delivery, and the order hears of it, perhaps of an old step too.
    fn ride(&mut self) {
        use delivery::command::Stage;
        let all: Vec<Key> = self.deliveries.lock().unwrap().keys().cloned().collect();
        if all.is_empty() {
            return;
        }
        let order = self.world.random.one_of(&all).clone();
        let fails = self.world.random.percent(15);
        let step = {
            let mut deliveries = self.deliveries.lock().unwrap();
            let stage = deliveries.get_mut(&order).unwrap();
            let (next, step) = match stage {
                Stage::Searching | Stage::Offered => (Stage::Assigned, DeliveryStep::Assigned),
                Stage::Assigned | Stage::PickedUp if fails => (Stage::Failed, DeliveryStep::Failed),
                Stage::Assigned => (Stage::PickedUp, DeliveryStep::PickedUp),
                Stage::PickedUp => (Stage::Delivered, DeliveryStep::Delivered),
                Stage::Delivered => (Stage::Delivered, DeliveryStep::Delivered),
                Stage::Failed => (Stage::Failed, DeliveryStep::Failed),
                Stage::Cancelled => return,
            };
            *stage = next;
            step
        };
        self.tell_step(&order, step);
        if step == DeliveryStep::Delivered && self.world.random.percent(50) {
            self.tell_step(&order, DeliveryStep::PickedUp);
            self.tell_step(&order, DeliveryStep::Assigned);
        }
    }

    fn tell_step(&mut self, order: &Key, step: DeliveryStep) {
        self.world.ask::<Order>(order, &Command::DeliveryUpdate { step }).unwrap();
    }

    /// What holds at any moment.
    fn always(&mut self) {
        for level in self.levels() {
            assert_eq!(level.on_hand, level.available + level.reserved, "{level:?}");
            assert_eq!(level.supplied, level.on_hand + level.sold, "{level:?}");
            assert_eq!(level.supplied, u64::from(self.supplied), "{level:?}");
        }
        for order in self.orders.keys().cloned().collect::<Vec<_>>() {
            let details = self.details(&order);
            let payment = self.payment(&order);
            assert!(payment.refunded_minor <= payment.captured_minor);
            let stands = details.confirmed_at.is_some() && details.summary.status != Status::Cancelled;
            if stands && matches!(details.payment, PaymentMethod::Card { .. }) {
                assert_eq!(payment.captured_minor, details.summary.total_minor, "{details:?} {payment:?}");
                assert_eq!(payment.refunded_minor, 0, "{details:?} {payment:?}");
            }
        }
    }

    /// What holds once nothing is to be done any more: confirmed or released, never between.
    fn finally(&mut self) {
        self.always();
        let mut sold: BTreeMap<String, u64> = BTreeMap::new();
        for order in self.orders.keys().cloned().collect::<Vec<_>>() {
            let details = self.details(&order);
            let payment = self.payment(&order);
            let kept = self.books.lock().unwrap().kept_minor.get(order.as_str()).copied().unwrap_or(0);
            let delivery = self.deliveries.lock().unwrap().get(&order).copied();
            let total_minor = details.summary.total_minor;
            let prepaid = matches!(details.payment, PaymentMethod::Card { .. });
            assert!(!details.summary.cancelling, "{details:?}");
            match details.summary.status {
                Status::None | Status::Placing => panic!("between: {details:?}"),
                Status::Cancelled => {
                    use delivery::command::Stage;
                    assert_eq!(kept, 0, "nothing is kept: {details:?} {payment:?}");
                    assert_eq!(payment.captured_minor, payment.refunded_minor, "{details:?} {payment:?}");
                    assert!(matches!(delivery, None | Some(Stage::Cancelled | Stage::Failed)), "{details:?}");
                }
                status => {
                    for line in &details.lines {
                        *sold.entry(line.sku.clone()).or_default() += u64::from(line.quantity);
                    }
                    assert!(delivery.is_some(), "{details:?}");
                    let paid = prepaid || status == Status::Delivered;
                    assert_eq!(payment.captured_minor, if paid { total_minor } else { 0 }, "{details:?} {payment:?}");
                    assert_eq!(kept, if prepaid { total_minor } else { 0 }, "{details:?} {payment:?}");
                }
            }
        }
        for level in self.levels() {
            assert_eq!(level.reserved, 0, "{level:?}");
            assert_eq!(level.sold, sold.get(&level.sku).copied().unwrap_or(0), "{level:?}");
        }
        let users: Vec<Key> = self.orders.keys().map(|order| key(order.shard_key())).collect();
        for user in users {
            let Ok(cart::Reply::Cart(contents)) = self.world.ask::<Cart>(&user, &cart::Command::Get) else {
                panic!("a cart")
            };
            assert_eq!(contents.sealed_by, None, "{contents:?}");
        }
        let mut made: BTreeMap<(Key, u64), Key> = BTreeMap::new();
        for (order, placement) in self.orders.clone() {
            let cart = (key(order.shard_key()), placement.cart_version);
            if self.details(&order).confirmed_at.is_some() {
                let other = made.insert(cart, order.clone());
                assert_eq!(other, None, "one cart, two orders: also {order}");
            }
        }
    }
}

/// A delivery of the simplest kind.
fn deliver(all: &mut Deliveries, key: &Key, command: &delivery::Command) -> Answer {
    use delivery::command::Stage;
    let stage = all.get(key).copied();
    let refused = match (command, stage) {
        (delivery::Command::Create { .. }, None) => {
            all.insert(key.clone(), Stage::Searching);
            None
        }
        (delivery::Command::Create { .. }, Some(Stage::Cancelled)) => Some(delivery::Rejection::Cancelled),
        (delivery::Command::Create { .. }, Some(_)) => None,
        (delivery::Command::Cancel, Some(stage @ (Stage::PickedUp | Stage::Delivered | Stage::Failed))) => {
            Some(delivery::Rejection::WrongStage { stage })
        }
        (delivery::Command::Cancel, _) => {
            all.insert(key.clone(), Stage::Cancelled);
            None
        }
        other => panic!("an order never says {other:?}"),
    };
    match refused {
        Some(rejection) => Answer::Rejected(serde_json::to_vec(&rejection).unwrap()),
        // The order only looks at whether it agreed.
        None => Answer::Reply(serde_json::to_vec(&delivery::Reply::Cancelled).unwrap()),
    }
}

#[test]
fn orders_end_confirmed_or_released_whatever_happens_between() {
    with_seeds(150, |seed| {
        let mut shop = Shop::new(seed, 9);
        shop.world.faults = Faults::MANY;
        let tokens = ["card_approve", "card_approve", "card_decline", "card_lost"];
        let users: Vec<Key> = (1..=4).map(|number| key(&format!("u-{number}"))).collect();
        for _ in 0..400 {
            match shop.world.random.below(100) {
                0..8 => {
                    let user = shop.world.random.one_of(&users).clone();
                    let quantity = 1 + shop.world.random.below(3);
                    let sku = *shop.world.random.one_of(&SKUS);
                    let mut lines = vec![line(sku, quantity as u32)];
                    if sku != SKUS[0] && shop.world.random.percent(50) {
                        lines.push(line(SKUS[0], 1));
                    }
                    let version = shop.fill_cart(&user, &lines);
                    // Two tabs may place the same cart under keys of their own, and either may try again.
                    for _ in 0..=shop.world.random.below(2) {
                        let cash = shop.world.random.percent(40);
                        let token = *shop.world.random.one_of(&tokens);
                        let payment = if cash { PaymentMethod::Cash } else { card(token) };
                        let tab = format!("tab {}", shop.world.random.below(12));
                        shop.place(&user, &tab, placement(version, lines.clone(), payment));
                    }
                }
                8..10 if !shop.orders.is_empty() => {
                    let orders: Vec<Key> = shop.orders.keys().cloned().collect();
                    let order = shop.world.random.one_of(&orders).clone();
                    let _ = shop.world.ask::<Order>(&order, &Command::Cancel { reason: "no".into() });
                }
                10..14 => {
                    let later = shop.world.random.below(40_000) as i64;
                    shop.world.advance(later);
                }
                14..22 => shop.ride(),
                22..24 => shop.always(),
                _ => {
                    shop.world.step();
                }
            }
        }
        let until = Timestamp(shop.world.now.0 + DAY_MS);
        shop.world.settle_until(until);
        shop.finally();
    });
}

#[test]
fn a_hundred_units_and_three_hundred_buyers_make_a_hundred_orders() {
    with_seeds(3, |seed| {
        let mut shop = Shop::new(seed, 100);
        for number in 0..300 {
            let user = key(&format!("u-{number}"));
            let lines = vec![line(SKUS[0], 1)];
            let version = shop.fill_cart(&user, &lines);
            let payment = if number % 2 == 0 { PaymentMethod::Cash } else { card("card_approve") };
            shop.place(&user, "once", placement(version, lines, payment));
        }
        shop.world.settle();
        shop.finally();
        let orders: Vec<Key> = shop.orders.keys().cloned().collect();
        let confirmed = orders.iter().filter(|order| shop.status(order) == Status::Confirmed).count();
        assert_eq!(confirmed, 100);
        for order in orders {
            let summary = shop.details(&order).summary;
            if let Some(reason) = summary.cancelled {
                let CancelReason::Lacking { lines } = reason else { panic!("{reason:?}") };
                assert_eq!((lines[0].sku.as_str(), lines[0].wanted, lines[0].available), (SKUS[0], 1, 0));
            }
        }
    });
}

#[test]
fn each_way_to_end_gives_back_what_it_must() {
    let mut shop = Shop::new(1, 10);
    let order = |shop: &mut Shop, number: u8, payment| {
        let user = key(&format!("u-{number}"));
        let lines = vec![line(SKUS[0], 2)];
        let version = shop.fill_cart(&user, &lines);
        let order = shop.place(&user, "once", placement(version, lines, payment));
        shop.world.settle();
        order
    };
    let declined = order(&mut shop, 1, card("card_decline"));
    let details = shop.details(&declined);
    assert!(matches!(details.summary.cancelled, Some(CancelReason::PaymentDeclined { .. })), "{details:?}");
    let regretted = order(&mut shop, 2, card("card_approve"));
    assert_eq!(shop.status(&regretted), Status::Confirmed);
    shop.world.ask::<Order>(&regretted, &Command::Cancel { reason: "too late for dinner".into() }).unwrap();
    shop.world.settle();
    let details = shop.details(&regretted);
    assert_eq!((details.summary.status, details.refunded_minor), (Status::Cancelled, details.summary.total_minor));
    let delivered = order(&mut shop, 3, PaymentMethod::Cash);
    for (stage, step) in [
        (delivery::command::Stage::PickedUp, DeliveryStep::PickedUp),
        (delivery::command::Stage::Delivered, DeliveryStep::Delivered),
    ] {
        shop.deliveries.lock().unwrap().insert(delivered.clone(), stage);
        shop.tell_step(&delivered, step);
        let cancel = Command::Cancel { reason: String::new() };
        assert_eq!(shop.world.ask::<Order>(&delivered, &cancel), Err(Rejection::TooLate));
    }
    shop.world.settle();
    assert_eq!(shop.payment(&delivered).captured_minor, 2 * PRICE_MINOR + FEE_MINOR);
    let until = Timestamp(shop.world.now.0 + DAY_MS);
    shop.world.settle_until(until);
    shop.finally();
    assert_eq!(shop.levels()[0].available, 8, "only one order kept its goods");
}
