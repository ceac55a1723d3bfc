//! Databases: made at the first start, with their user and password, and spoken to through the network.

use crate::sample::Sample;

#[test]
fn databases_have_their_user_and_answer_queries() {
    let sample = Sample::up("stores");
    let query = "CREATE TABLE page (title varchar(20)); INSERT INTO page VALUES ('Main'); SELECT title FROM page";
    let mariadb = format!(
        "mariadb --host=mariadb-local --user=wiki --password=\"$MARIADB_PASSWORD\" --batch --skip-column-names wiki --execute=\"{query}\""
    );
    assert_eq!(sample.exec("mariadb", &["sh", "-c", &mariadb]), "Main");
    let postgres = format!(
        "PGPASSWORD=$POSTGRES_PASSWORD psql --host=postgres-local --username=app --no-align --tuples-only --quiet --command=\"{query}\" app"
    );
    assert_eq!(sample.exec("postgres", &["sh", "-c", &postgres]), "Main");
    sample.down();
}
