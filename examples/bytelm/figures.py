def report(out, held_out):
    pass
