# shellcheck shell=bash
# A shop to order from, through the API as any client would: by curl. Sourced behind lib.sh.
#
#   shop_open BASE EMAIL PASSWORD      as the admin EMAIL: a store that is always open, three products, and stock
#   shop_order BASE NAME               registers NAME@example.org, orders by cash, waits for the confirmation; prints
#                                      `ID STATUS TOTAL`
#   shop_orders BASE NAME              what NAME has ordered, as JSON
#
# BASE is such as http://127.0.0.1:8080. $shop_curl is the command that asks, an array: (curl) unless set.

shop_curl=(curl)
readonly shop_store=central
readonly shop_address="12 Residency Road, Bengaluru 560025"
readonly shop_confirm_seconds_max=30

# shop_ask TOKEN METHOD URL [BODY] [HEADER]: prints the body; fails on a status from 400 on, and prints it.
shop_ask() {
    local options=(--silent --show-error --fail-with-body --max-time 20 -X "$2")
    [[ -z $1 ]] || options+=(-H "Authorization: Bearer $1")
    [[ -z ${4:-} ]] || options+=(-H "Content-Type: application/json" --data "$4")
    [[ -z ${5:-} ]] || options+=(-H "$5")
    "${shop_curl[@]}" "${options[@]}" "$3" || {
        echo "$2 $3 failed" >&2
        return 1
    }
}

# shop_member NAME: the first member of that name in the JSON on standard input, a text or a number.
shop_member() { grep -Eo "\"$1\":(\"[^\"]*\"|-?[0-9]+)" | head -n 1 | sed 's/^[^:]*://; s/"//g'; }

shop_login() {
    shop_ask "" POST "$1/api/v1/auth/login" "{\"email\":\"$2\",\"password\":\"$3\"}" | shop_member access_token
}

shop_open() {
    local base=$1 token day week="" number skus=(milk-1l bread-400g rice-5kg) barcodes=(8901262010016 8901063010123 4006381333931)
    token=$(shop_login "$base" "$2" "$3")
    for day in monday tuesday wednesday thursday friday saturday sunday; do
        week+=",\"$day\":[{\"opens\":\"00:00\",\"closes\":\"24:00\"}]"
    done
    shop_ask "$token" PUT "$base/api/v1/stores/$shop_store" \
        "{\"name\":\"Central\",\"lat\":12.97,\"lng\":77.6,\"hours\":{\"time_zone\":\"Asia/Kolkata\"$week}}"
    local lines=""
    for number in 0 1 2; do
        shop_ask "$token" POST "$base/api/v1/products" \
            "{\"sku\":\"${skus[number]}\",\"name\":\"${skus[number]}\",\"brand\":\"Nakku\",\"barcode\":\"${barcodes[number]}\",\"unit\":\"1 pc\",\"category\":\"staples\",\"mrp_minor\":$((5000 + number)),\"price_minor\":$((4500 + number)),\"tax_basis_points\":500}"
        lines+=",{\"sku\":\"${skus[number]}\",\"quantity\":100000}"
    done
    shop_ask "$token" POST "$base/api/v1/stores/$shop_store/stock" "{\"receipt\":\"opening\",\"lines\":[${lines#,}]}"
}

shop_order() {
    local base=$1 name=$2 token total order id status deadline=$((SECONDS + shop_confirm_seconds_max))
    shop_ask "" POST "$base/api/v1/auth/register" \
        "{\"email\":\"$name@example.org\",\"password\":\"walks-$name-in\",\"name\":\"$name\"}" >/dev/null
    token=$(shop_login "$base" "$name@example.org" "walks-$name-in")
    shop_ask "$token" PUT "$base/api/v1/cart/items/milk-1l" "{\"store\":\"$shop_store\",\"quantity\":2}" >/dev/null
    total=$(shop_ask "$token" PUT "$base/api/v1/cart/items/bread-400g" "{\"store\":\"$shop_store\",\"quantity\":1}" |
        shop_member total_minor)
    order=$(shop_ask "$token" POST "$base/api/v1/orders" \
        "{\"payment\":{\"method\":\"cash\"},\"address\":\"$shop_address\",\"expected_total_minor\":$total}" \
        "Idempotency-Key: $name-1")
    id=$(shop_member id <<<"$order")
    status=$(shop_member status <<<"$order")
    until [[ $status != placing ]] || ((SECONDS > deadline)); do
        sleep 0.3
        status=$(shop_ask "$token" GET "$base/api/v1/orders/$id" | shop_member status)
    done
    echo "$id $status $total"
}

shop_orders() {
    local token
    token=$(shop_login "$1" "$2@example.org" "walks-$2-in")
    shop_ask "$token" GET "$1/api/v1/orders"
}
