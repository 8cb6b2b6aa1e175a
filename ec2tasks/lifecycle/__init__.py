"""An instance acquired and released around an operation, whatever happens in between.

Start with `scope.with_instance`, which does that: `Operation` says what is asked, `Lease` is what is held
meanwhile, `Outcome` how the work went. In order:

    timing            how long each phase took
    launch_journal    launches begun here that nobody got on yet
    wanted_job        the job that a client here wants, until it has begun
    shown_output      how far each job's output has been shown here
    account           which account's instances these are
    context           what one call knows before it asks AWS anything
    credentials_end   what to say of credentials that end before the run can, or have
    instance_cache    an instance as this machine remembers it
    drift             in which way an instance differs from what was asked for
    ssh_entries       the instances that run, as entries for the user's own ssh
    find              the project's instance, in AWS or remembered
    pool              several machines, of which each run takes a free one
    pricing           what it will cost, asked beside the launch and remembered
    launching         asked for until it is granted, written down before
    outcome           how the work went
    host_key_check    a host key taken at first sight, compared beside the work
    bring_up          started or launched, until it takes commands
    acquire           found, brought up where it has to be, connected
    operation         what is asked
    lease             the connection and the session that are held
    spot              whether AWS took a spot instance back
    first_boot        the user's own user_data, waited for
    release_decision  left, stopped or terminated: pure
    ignored           ignored files that a termination takes
    release           that decision, carried out and said
    scope             all of it around the work
    reap              instances that were forgotten
"""
