from parallel.launching import launched

WORK = "parallel.working_on_towers:"


def test_two_devices_find_the_loss_and_the_gradients_of_one():
    for far in launched(2, WORK + "both_nets", "towers", 5):
        for net in far:
            assert max(net.values()) < 1e-12, net


def test_two_by_two():
    for far in launched(4, WORK + "both_nets", "towers", 5):
        for net in far:
            assert max(net.values()) < 1e-12, net


def test_split2():
    for far in launched(2, WORK + "both_nets", "split", 8):
        for net in far:
            assert max(net.values()) < 1e-12, net


def test_split4():
    for far in launched(4, WORK + "both_nets", "split", 8):
        for net in far:
            assert max(net.values()) < 1e-12, net
