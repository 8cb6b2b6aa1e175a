# What the instance's metadata service says, for the scripts before which this stands.

# What it answers: `metadata METHOD PATH HEADER`.
# https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/spot-instance-termination-notices.html
metadata() {
    exec 5<>/dev/tcp/169.254.169.254/80 || return
    printf '%s /latest/%s HTTP/1.0\r\nHost: 169.254.169.254\r\n%s\r\n\r\n' "$1" "$2" "$3" >&5
    # The status, the headers up to an empty line, then the answer.
    timeout 3 tr -d '\r' <&5 | awk 'NR == 1 && $2 != 200 { exit } answer; /^$/ { answer = 1 }'
    exec 5>&-
}

# When AWS takes this spot instance back, as it says two minutes ahead; false where it has not said so.
spot_notice() {
    local token action
    token=$(metadata PUT api/token 'X-aws-ec2-metadata-token-ttl-seconds: 60')
    action=$(metadata GET meta-data/spot/instance-action "X-aws-ec2-metadata-token: $token")
    case $action in
    *'"time"'*)
        action=${action#*'"time"'*'"'}
        printf '%s\n' "${action%%'"'*}"
        ;;
    *) return 1 ;;
    esac
} 2>/dev/null
