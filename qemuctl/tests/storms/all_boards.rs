//! The boards of the versions that are not tried in every run.

#[tokio::test(flavor = "multi_thread")]
async fn boards_of_7_2_start_or_are_refused() {
    super::boards::every_board("7.2").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn boards_of_10_0_start_or_are_refused() {
    super::boards::every_board("10.0").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn boards_of_11_1_start_or_are_refused() {
    super::boards::every_board("11.1").await;
}
