//! The fixed twin of each kernel as a simulated test of its own, so that `cargo xtask sim` has it in its table, a night's budget
//! reaches it, and a token that it prints replays it.

use csp_bench::kernels;
use towpath_sim::Sim;

/// Schedules of each without a wish in the environment: `it::verdicts` tries them too.
const SCHEDULES: u64 = 50;

fn stays_clean(name: &str) {
    let kernel = kernels::all().find(|kernel| kernel.name == name).expect("it is in the list");
    let test = format!("{}::{name}", module_path!());
    Sim::new().schedules(SCHEDULES).test(&test, kernel.fixed.start);
}

macro_rules! campaigns {
    ($($name:ident,)*) => {
        $(
            #[test]
            fn $name() {
                stays_clean(stringify!($name));
            }
        )*

        #[test]
        fn every_kernel_has_its_campaign() {
            let here = [$(stringify!($name)),*];
            let all: Vec<_> = kernels::all().map(|kernel| kernel.name).collect();
            assert_eq!(here.as_slice(), all, "a kernel is missing here, or in another order");
        }
    };
}

campaigns! {
    grpc_1275,
    grpc_1424,
    kubernetes_70277,
    etcd_6857,
    istio_17860,
    cockroach_35073,
    kubernetes_38669,
    moby_21233,
    kubernetes_5316,
    moby_4395,
    cockroach_35931,
    cockroach_25456,
    cockroach_24808,
    moby_33293,
    grpc_862,
    istio_18454,
    cockroach_13755,
    cockroach_13197,
    cockroach_18101,
    kubernetes_25331,
    moby_33781,
    grpc_2371,
    grpc_1687,
    istio_8967,
    serving_5865,
    serving_3068,
    kubernetes_11298,
    moby_30408,
    moby_29733,
    grpc_1460,
    etcd_7902,
    etcd_6873,
    kubernetes_26980,
    grpc_1353,
    etcd_7492,
    istio_16224,
    kubernetes_10182,
    kubernetes_1321,
    moby_28462,
    cockroach_1462,
    moby_25384,
    cockroach_4407,
    kubernetes_13058,
    moby_18412,
    ab_ba,
    reader_writer_reader,
    double_lock,
    queue_never_closed,
    start_without_stop,
    send_twice,
    early_return,
    racers_and_one_reader,
    timeout_abandons_sender,
    futurelock,
    cancelled_receive,
    lost_waker,
    blocking_receive_on_worker,
    blocking_pool_exhausted,
    unbounded_cycle,
    biased_starves_stop,
}
