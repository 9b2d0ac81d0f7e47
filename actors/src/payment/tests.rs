//! Properties of a payment over random commands and answers, repeated and late as a cluster may bring them.

use std::collections::BTreeMap;

use nakku_cluster::{Answer, Call, Entity, Provider};
use proptest::collection::vec;
use proptest::prelude::*;

use super::command::REFUNDS_MAX;
use super::provider::{CardAnswer, CardOperation, CardRequest, SIMULATED_CARD, SimulatedCard};
use super::{Command, Event, Outcome, Payment, Rejection, Reply, Status};
use crate::properties::{Alone, check};

const AMOUNT_MINOR: i64 = 10_000;

/// What a real card network would have on its books, by idempotency key.
#[derive(Default)]
struct Books {
    seen: BTreeMap<String, (CardRequest, CardAnswer)>,
    held_minor: i64,
    taken_minor: i64,
    returned_minor: i64,
}

impl Books {
    fn ask(&mut self, key: &str, request: CardRequest) -> CardAnswer {
        if let Some((before, answer)) = self.seen.get(key) {
            assert_eq!(*before, request, "one key, one request");
            return answer.clone();
        }
        let answer = SimulatedCard::answer(key, &request);
        if matches!(answer, CardAnswer::Approved { .. }) {
            match request.operation {
                CardOperation::Authorise => self.held_minor += request.amount_minor,
                CardOperation::Charge => self.taken_minor += request.amount_minor,
                CardOperation::Capture => {
                    self.held_minor -= request.amount_minor;
                    self.taken_minor += request.amount_minor;
                }
                CardOperation::Void => self.held_minor -= request.amount_minor,
                CardOperation::Refund => self.returned_minor += request.amount_minor,
            }
        }
        self.seen.insert(key.to_owned(), (request, answer.clone()));
        answer
    }
}

#[derive(Clone, Debug)]
enum Step {
    Tell(Command),
    /// The network is asked; its answer may get lost on the way back.
    Card {
        lost: bool,
    },
    /// An answer that came before comes once more.
    Late(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let token = prop_oneof![4 => Just("card_approve"), 1 => Just("card_decline")];
    let command = prop_oneof![
        3 => token.prop_map(|token| Command::Open { amount_minor: AMOUNT_MINOR, token: token.into() }),
        3 => any::<bool>().prop_map(|capture| Command::Authorise { capture }),
        2 => Just(Command::Capture),
        1 => Just(Command::Void),
        2 => ("[xy]", 1..AMOUNT_MINOR)
            .prop_map(|(refund, amount_minor)| Command::Refund { refund, amount_minor }),
        1 => (0..8_u64).prop_map(|number| Command::OrderTold { number }),
    ];
    prop_oneof![
        6 => command.prop_map(Step::Tell),
        4 => any::<bool>().prop_map(|lost| Step::Card { lost }),
        1 => any::<usize>().prop_map(Step::Late),
    ]
}

/// Asks the network what is outstanding, and returns the command with its answer.
fn ask_card(payment: &Alone<Payment>, books: &mut Books) -> Option<Command> {
    let outstanding = Payment::outstanding(&payment.state);
    let effect = outstanding.effects.into_iter().find(|effect| effect.step == "card")?;
    let key = format!("{}/{}", effect.step, effect.ordinal);
    let [Call::Provider { name: SIMULATED_CARD, request }] = &effect.calls[..] else { panic!("one request") };
    let answer = books.ask(&key, serde_json::from_slice(request).unwrap());
    Some((effect.then)(vec![Answer::Reply(serde_json::to_vec(&answer).unwrap())]))
}

#[test]
fn books_agree_and_refunds_never_exceed_what_was_taken() {
    check(1_000, &vec(step(), 1..50), |steps| {
        let mut payment = Alone::<Payment>::new("u-1.o-1");
        let mut books = Books::default();
        let mut answers: Vec<Command> = Vec::new();
        let mut void_accepted = false;
        for step in steps {
            let command = match step {
                Step::Tell(command) => Some(command),
                Step::Late(at) if !answers.is_empty() => Some(answers[at % answers.len()].clone()),
                Step::Late(_) => None,
                Step::Card { lost } => ask_card(&payment, &mut books).filter(|_| !lost),
            };
            let Some(command) = command else { continue };
            let was_void = void_accepted;
            let Ok((events, reply)) = payment.tell(command.clone()) else { continue };
            void_accepted |= command == Command::Void;
            if was_void {
                let taken_up = events.iter().any(|event| {
                    matches!(event, Event::Opened { .. } | Event::AuthoriseRequested { .. } | Event::CaptureRequested)
                });
                prop_assert!(!taken_up, "what comes after a void is refused: {events:?}");
            }
            let (again, reply_again) = payment.tell(command.clone()).expect("what was accepted is accepted again");
            prop_assert!(again.is_empty(), "{command:?} twice: {again:?}");
            prop_assert_eq!(reply, reply_again);
            let head = &payment.state.head;
            prop_assert!(head.refunded_minor <= head.captured_minor && head.captured_minor <= head.amount_minor);
            prop_assert!(head.refunded_minor >= 0 && head.refundable_minor() >= 0);
            prop_assert!(books.returned_minor <= books.taken_minor);
            if matches!(command, Command::Answered { .. }) {
                answers.push(command);
            }
        }
        while let Some(command) = ask_card(&payment, &mut books) {
            let (events, _) = payment.tell(command).unwrap();
            prop_assert!(!events.is_empty(), "the network's answer moves the payment on");
        }
        let head = &payment.state.head;
        prop_assert_eq!(books.taken_minor, head.captured_minor);
        prop_assert_eq!(books.returned_minor, head.refunded_minor);
        prop_assert_eq!(books.held_minor, if head.status == Status::Authorised { head.amount_minor } else { 0 });
        if void_accepted {
            prop_assert_eq!(head.captured_minor, head.refunded_minor, "nothing is kept");
            prop_assert!(matches!(head.status, Status::Voided | Status::Declined));
        }
        Ok(())
    });
}

#[test]
fn a_void_leaves_a_tombstone_for_what_comes_late() {
    let mut payment = Alone::<Payment>::new("u-1.o-1");
    let (_, reply) = payment.tell(Command::Void).unwrap();
    assert_eq!(reply, Reply::Outcome { outcome: Outcome::Voided { refunded_minor: 0 } });
    let open = Command::Open { amount_minor: AMOUNT_MINOR, token: "card_approve".into() };
    assert_eq!(payment.tell(open), Err(Rejection::Voided));
    assert_eq!(payment.tell(Command::Authorise { capture: true }), Err(Rejection::Voided));
}

#[test]
fn a_late_charge_is_given_back() {
    let mut payment = Alone::<Payment>::new("u-1.o-1");
    let mut books = Books::default();
    payment.tell(Command::Open { amount_minor: AMOUNT_MINOR, token: "card_approve".into() }).unwrap();
    payment.tell(Command::Authorise { capture: true }).unwrap();
    assert_eq!(payment.tell(Command::Void).unwrap().1, Reply::Pending);
    while let Some(command) = ask_card(&payment, &mut books) {
        payment.tell(command).unwrap();
    }
    assert_eq!((books.taken_minor, books.returned_minor), (AMOUNT_MINOR, AMOUNT_MINOR));
    let refunded_minor = AMOUNT_MINOR;
    assert_eq!(payment.state.head.outcome(), Some(Outcome::Voided { refunded_minor }));
    assert!(payment.outstanding().contains("tell"), "the order hears of it");
}

#[test]
fn cash_is_noted_once_and_refunds_have_bounds() {
    let mut cash = Alone::<Payment>::new("u-1.o-1");
    assert_eq!(cash.tell(Command::Collect { amount_minor: 500 }).unwrap().0.len(), 1);
    assert_eq!(cash.tell(Command::Collect { amount_minor: 500 }).unwrap().0.len(), 0);
    assert!(matches!(cash.tell(Command::Collect { amount_minor: 501 }), Err(Rejection::NotNow { .. })));
    assert!(matches!(cash.tell(Command::Void), Err(Rejection::NotNow { .. })));
    let mut card = Alone::<Payment>::new("u-1.o-2");
    let mut books = Books::default();
    card.tell(Command::Open { amount_minor: AMOUNT_MINOR, token: "card_approve".into() }).unwrap();
    card.tell(Command::Authorise { capture: true }).unwrap();
    let charged = ask_card(&card, &mut books).unwrap();
    card.tell(charged).unwrap();
    let refund = |name: usize, amount_minor| Command::Refund { refund: format!("r-{name}"), amount_minor };
    let too_much = Rejection::AmountOutOfRange { max_minor: AMOUNT_MINOR };
    assert_eq!(card.tell(refund(0, AMOUNT_MINOR + 1)), Err(too_much.clone()));
    assert_eq!(card.tell(refund(0, -1)), Err(too_much));
    for name in 0..REFUNDS_MAX {
        card.tell(refund(name, 1)).unwrap();
    }
    assert_eq!(card.tell(refund(REFUNDS_MAX, 1)), Err(Rejection::TooManyRefunds { max: REFUNDS_MAX }));
    assert_eq!(card.tell(refund(0, 2)), Err(Rejection::Different));
}

#[tokio::test]
async fn the_simulated_card_answers_as_its_token_says() {
    let card = SimulatedCard::default();
    let request = |token: &str| {
        let request = CardRequest {
            token: token.into(),
            operation: CardOperation::Charge,
            amount_minor: 1,
            currency: crate::money::CURRENCY.into(),
            reference: None,
        };
        serde_json::to_vec(&request).unwrap()
    };
    let answer = |json: Vec<u8>| serde_json::from_slice::<CardAnswer>(&json).unwrap();
    let approved = answer(card.call("k-1", &request("card_approve")).await.unwrap());
    assert!(matches!(approved, CardAnswer::Approved { .. }));
    assert_eq!(answer(card.call("k-1", &request("card_approve")).await.unwrap()), approved);
    assert!(matches!(answer(card.call("k-2", &request("card_decline")).await.unwrap()), CardAnswer::Declined { .. }));
    assert!(matches!(answer(card.call("k-3", &request("4111")).await.unwrap()), CardAnswer::Declined { .. }));
    assert!(card.call("k-4", &request("card_lost")).await.is_err());
    assert!(matches!(answer(card.call("k-4", &request("card_lost")).await.unwrap()), CardAnswer::Approved { .. }));
    assert!(card.call("k-5", &request("card_lost")).await.is_err());
}
