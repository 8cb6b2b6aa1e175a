"""What runs on the instance: shell scripts, each beside the module here that talks to it.

Start with `session.join`, which holds a session (`session.sh`), `job.Job`, a command to run there
(`runner.sh`, `job.sh`; beside it `sampler.sh`, whose samples `job_use` fetches, and `warner.sh`, which
tells it before its instance ends), `follow.View`, which follows one from here (`follow.sh`), and
`end_job`, which ends one (`end_job.sh`). `notice` is what the session hears of the instance's end,
`listening` what listens there (`listening.sh`), `notebook` a job that is one (`jupyter.sh`,
`notebook.sh`). `folder` is the project's folder there (`tree.sh`), `guard_status` what the guard says
(`guard.sh`, which `arm.sh` sets up), and `protocol` how both sides talk (`protocol.sh`); `metadata.sh`
asks AWS's metadata service.
"""
