use super::*;

fn user(name: &str, hash: u8) -> User {
    User {
        name: name.parse().unwrap(),
        role: Role::Viewer,
        groups: vec!["eu".parse().unwrap()],
        token_sha256: [hash; 32],
    }
}

fn admin(name: &str, hash: u8) -> User {
    User {
        role: Role::Admin,
        groups: Vec::new(),
        ..user(name, hash)
    }
}

fn root() -> UserId {
    "admin".parse().unwrap()
}

fn opened() -> (tempfile::TempDir, Users) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("users.toml");
    Users::create(&path, admin("admin", 1)).unwrap();
    let users = Users::open(&path).unwrap();
    (dir, users)
}

#[test]
fn a_user_added_is_there_after_a_restart() {
    let (dir, users) = opened();
    users.add(user("vera", 2), &root(), Extent::Write).unwrap();
    let again = Users::open(&dir.path().join("users.toml")).unwrap();
    assert_eq!(again.find(&"vera".parse().unwrap()), Some(user("vera", 2)));
    assert_eq!(again.list().len(), 2);
}

#[test]
fn a_name_is_given_once_but_the_same_user_may_be_added_again() {
    let (_dir, users) = opened();
    users.add(user("vera", 2), &root(), Extent::Write).unwrap();
    users.add(user("vera", 2), &root(), Extent::Write).unwrap();
    assert!(matches!(
        users.add(user("vera", 3), &root(), Extent::Write),
        Err(UsersError::Exists { .. })
    ));
}

#[test]
fn an_edited_file_counts_and_a_broken_one_changes_nothing() {
    let (dir, users) = opened();
    let path = dir.path().join("users.toml");
    write(&path, vec![admin("bob", 4)]).unwrap();
    let names = |users: &Users| -> Vec<String> {
        users.look();
        users
            .list()
            .iter()
            .map(|user| user.name.to_string())
            .collect()
    };
    assert_eq!(names(&users), ["bob"]);
    private_file::write(&path, b"[[users]]\nname = 1\n").unwrap();
    assert_eq!(names(&users), ["bob"]);
    write(&path, vec![user("vera", 4)]).unwrap();
    assert_eq!(names(&users), ["bob"], "without an administrator");
}

#[test]
fn a_file_with_a_mistake_is_told_and_never_written_over() {
    // bad-inputs row 80
    let (dir, users) = opened();
    let path = dir.path().join("users.toml");
    let health = Health::default();
    let users = users.telling(health.clone());
    users.add(user("vera", 2), &root(), Extent::Write).unwrap();
    let good = std::fs::read_to_string(&path).unwrap();
    let (_, vera) = good.rsplit_once("[[users]]").unwrap();
    for mistake in [
        format!("{good}\n[[users]\n"),
        format!("{good}\n[[users]]{vera}"),
        format!("[[users]]{vera}"),
        String::new(),
    ] {
        private_file::write(&path, mistake.as_bytes()).unwrap();
        let add = |extent| users.add(user("bob", 3), &root(), extent);
        for extent in [Extent::Check, Extent::Write] {
            let refused = add(extent).unwrap_err();
            assert!(
                matches!(refused, UsersError::NotInEffect { .. }),
                "{refused}"
            );
        }
        let vera = "vera".parse().unwrap();
        assert!(users.remove(&vera, &root(), Extent::Write).is_err());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), mistake);
        assert_eq!(users.list().len(), 2, "the last good one");
        assert_eq!(health.problems()[0].about, "users.toml");
    }
    std::fs::remove_file(&path).unwrap();
    assert!(users.add(user("bob", 3), &root(), Extent::Write).is_err());
    assert!(!path.exists(), "a file that is gone is not made up");
    private_file::write(&path, good.as_bytes()).unwrap();
    users.add(user("bob", 3), &root(), Extent::Write).unwrap();
    assert_eq!(health.problems(), []);
}

#[test]
fn something_that_is_no_file_holds_nobody_up_and_changes_nothing() {
    // bad-inputs row 80
    let (dir, users) = opened();
    let path = dir.path().join("users.toml");
    let health = Health::default();
    let users = users.telling(health.clone());
    let odd: [fn(&Path); 4] = [
        |path| {
            let made = std::process::Command::new("mkfifo").arg(path).status();
            assert!(made.unwrap().success());
        },
        |path| std::os::unix::fs::symlink("/dev/zero", path).unwrap(),
        |path| std::fs::create_dir(path).unwrap(),
        |path| private_file::write(path, &vec![b'#'; 2 << 20]).unwrap(),
    ];
    for make in odd {
        let _gone = std::fs::remove_file(&path).or_else(|_| std::fs::remove_dir(&path));
        make(&path);
        users.look();
        assert_eq!(users.list(), [admin("admin", 1)]);
        assert_eq!(health.problems()[0].about, "users.toml");
        let refused = users.add(user("vera", 2), &root(), Extent::Write);
        assert!(matches!(refused, Err(UsersError::NotInEffect { .. })));
    }
    std::fs::remove_file(&path).unwrap();
    write(&path, vec![admin("bob", 4)]).unwrap();
    users.look();
    assert_eq!(users.list(), [admin("bob", 4)]);
    assert_eq!(health.problems(), []);
}

#[test]
fn whoever_asks_waits_for_nobody_who_looks_at_the_file() {
    let (_dir, users) = opened();
    // As by somebody whom a dead file system does not answer.
    let _looking = users.file.lock().unwrap();
    assert_eq!(users.list().len(), 1);
    assert!(users.find(&root()).is_some());
    assert_eq!(users.changes(), 0);
}

#[test]
fn the_last_administrator_is_neither_removed_nor_demoted() {
    let (_dir, users) = opened();
    let name = "admin".parse().unwrap();
    let demoted = || user("admin", 1);
    for extent in [Extent::Check, Extent::Write] {
        let removed = users.remove(&name, &root(), extent);
        assert!(matches!(removed, Err(UsersError::LastAdmin { .. })));
        let changed = users.add(demoted(), &root(), extent);
        assert!(matches!(changed, Err(UsersError::LastAdmin { .. })));
    }
    users.add(admin("bob", 2), &root(), Extent::Write).unwrap();
    users.add(demoted(), &root(), Extent::Write).unwrap();
    users.remove(&name, &root(), Extent::Write).unwrap();
}

#[test]
fn every_change_is_counted_and_nothing_else_is() {
    let (dir, users) = opened();
    let mut seen = users.changes();
    let mut changed = |users: &Users| {
        let now = users.changes();
        std::mem::replace(&mut seen, now) != now
    };
    let wider = User {
        groups: Vec::new(),
        ..user("vera", 2)
    };
    let add = |user: User| users.add(user, &root(), Extent::Write).unwrap();
    assert_eq!(add(user("vera", 2)), UserChange::Added);
    assert!(changed(&users));
    assert_eq!(add(user("vera", 2)), UserChange::Nothing);
    assert!(!changed(&users));
    assert_eq!(add(wider), UserChange::Changed);
    assert!(changed(&users));
    users
        .remove(&"vera".parse().unwrap(), &root(), Extent::Check)
        .unwrap();
    assert!(!changed(&users));
    users
        .remove(&"vera".parse().unwrap(), &root(), Extent::Write)
        .unwrap();
    assert!(changed(&users));
    write(&dir.path().join("users.toml"), vec![admin("bob", 4)]).unwrap();
    users.look();
    assert!(changed(&users), "by an editor");
}

#[test]
fn whoever_is_limited_to_groups_gives_and_takes_no_more_than_that() {
    // bad-inputs row 80
    let (_dir, users) = opened();
    let lena = User {
        groups: ["eu", "us"].map(|group| group.parse().unwrap()).to_vec(),
        ..admin("lena", 2)
    };
    users.add(lena.clone(), &root(), Extent::Write).unwrap();
    let of = |groups: &[&str], name: &str, hash| User {
        groups: groups.iter().map(|group| group.parse().unwrap()).collect(),
        ..admin(name, hash)
    };
    let add = |user: User| users.add(user, &lena.name, Extent::Write);
    for beyond in [
        of(&[], "vera", 3),
        User {
            groups: Vec::new(),
            ..user("vera", 3)
        },
        of(&["eu", "asia"], "vera", 3),
        of(&[], "lena", 2),
        of(&["eu"], "admin", 1),
    ] {
        let refused = add(beyond).unwrap_err();
        assert!(matches!(refused, UsersError::Beyond { .. }), "{refused}");
    }
    let removed = users.remove(&root(), &lena.name, Extent::Write);
    assert!(matches!(removed, Err(UsersError::Beyond { .. })));
    assert_eq!(add(of(&["eu"], "vera", 3)).unwrap(), UserChange::Added);
    let vera = "vera".parse().unwrap();
    users.remove(&vera, &lena.name, Extent::Write).unwrap();
}

#[test]
fn somebody_limited_to_groups_is_not_the_last_who_can_add_others() {
    let (_dir, users) = opened();
    let lena = User {
        role: Role::Admin,
        ..user("lena", 2)
    };
    users.add(lena, &root(), Extent::Write).unwrap();
    let removed = users.remove(&root(), &root(), Extent::Write);
    assert!(matches!(removed, Err(UsersError::LastAdmin { .. })));
}
