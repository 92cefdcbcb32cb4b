use super::*;

#[test]
fn progress_of_a_small_fleet_fits_in_twelve_bytes() {
    let status = DeviceStatus {
        seq: Seq((1 << 14) - 1),
        ended: 3,
        running: Some(Progress {
            deployment: DeploymentId(127),
            round: Round(0),
            attempt: Attempt(1),
            step: Step::Downloading(100),
        }),
        outcomes: Vec::new(),
    };
    assert!(encode(&status).len() <= 12, "{}", encode(&status).len());
}

#[test]
fn an_outcome_without_signature_decodes_but_does_not_verify() {
    // bad-inputs row 22
    let key = PrivateKey::from_seed(&[7; 32]);
    let status = DeviceStatus {
        outcomes: alloc::vec![Outcome {
            deployment: DeploymentId(1),
            round: Round(0),
            attempt: Attempt(1),
            result: FinalResult::Successful(Success::Installed),
        }],
        ..DeviceStatus::default()
    };
    let topic = "hoist/s/00/d1";
    let sealed = status.seal(&key, topic);
    let received = DeviceStatus::receive(&sealed).unwrap();
    assert_eq!(received.verify(&key.public(), topic), Ok(()));
    assert!(received.verify(&key.public(), "hoist/s/00/d2").is_err());

    let bare = encode(&status);
    let received = DeviceStatus::receive(&bare).unwrap();
    assert_eq!(received.signature, None);
    assert_eq!(
        received.verify(&key.public(), topic),
        Err(OpenError::Signature)
    );
}
