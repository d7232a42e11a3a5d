// Hashes and signatures against published vectors: FIPS 180-4, RFC 4231, the examples of "Signature
// Calculations for the Authorization Header" (S3 API Reference), and AWS's Signature Version 4 test
// suite.
#include "data/store/aws_signature.h"

#include <gtest/gtest.h>

#include "data/store/sha256.h"

namespace phalanx {
namespace {

TEST(Sha256, IsThatOfFips180) {
  EXPECT_EQ(hex_text(sha256("")),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(hex_text(sha256("abc")),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(hex_text(sha256("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq")),
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  EXPECT_EQ(hex_text(sha256(std::string(1'000'000, 'a'))),
            "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST(HmacSha256, IsThatOfRfc4231) {
  EXPECT_EQ(hex_text(hmac_sha256(std::string(20, '\x0b'), "Hi There")),
            "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
  EXPECT_EQ(hex_text(hmac_sha256("Jefe", "what do ya want for nothing?")),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
  EXPECT_EQ(hex_text(hmac_sha256(std::string(131, '\xaa'),
                                 "Test Using Larger Than Block-Size Key - Hash Key First")),
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
}

const AwsKeys kS3Keys{"AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", ""};
const SigningScope kS3Scope{"us-east-1", "s3", "20130524T000000Z"};

TEST(AwsSignature, OfTheS3ReferencesGetObject) {
  const HttpHeaders headers = sign_s3_request("GET", "examplebucket.s3.amazonaws.com", "/test.txt",
                                              {{"range", "bytes=0-9"}}, kS3Scope, kS3Keys);
  EXPECT_EQ(headers.at("authorization"),
            "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,"
            "SignedHeaders=host;range;x-amz-content-sha256;x-amz-date,"
            "Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41");
  EXPECT_EQ(headers.at("x-amz-content-sha256"), empty_payload_hash());
}

/// Its examples with a query.
std::string s3_signature(const std::string& query) {
  SignedRequest request{"GET", "/", query, {}, empty_payload_hash()};
  request.headers = {{"host", "examplebucket.s3.amazonaws.com"},
                     {"x-amz-content-sha256", empty_payload_hash()},
                     {"x-amz-date", kS3Scope.time}};
  const std::string text = authorization(request, kS3Scope, kS3Keys);
  return text.substr(text.find("Signature=") + 10);
}

TEST(AwsSignature, OfTheS3ReferencesQueries) {
  EXPECT_EQ(s3_signature("lifecycle="),
            "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543");
  EXPECT_EQ(s3_signature("max-keys=2&prefix=J"),
            "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7");
}

/// Of the test suite, whose requests have no x-amz-content-sha256.
std::string suite_signature(const std::string& method, const std::string& path,
                            const HttpHeaders& more) {
  SignedRequest request{method, path, "", more, empty_payload_hash()};
  request.headers["host"] = "example.amazonaws.com";
  request.headers["x-amz-date"] = "20150830T123600Z";
  const std::string text =
      authorization(request, {"us-east-1", "service", "20150830T123600Z"},
                    {"AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", ""});
  return text.substr(text.find("Signature=") + 10);
}

TEST(AwsSignature, OfTheTestSuite) {
  EXPECT_EQ(suite_signature("GET", "/", {}),
            "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31");
  EXPECT_EQ(
      suite_signature("GET", "/", {{"my-header1", " value1"}, {"my-header2", "\"a   b   c\""}}),
      "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736");
  EXPECT_EQ(suite_signature(
                "GET", "/-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz", {}),
            "07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f");
}

TEST(AwsSignature, TemporaryKeysSendTheirTokenSigned) {
  AwsKeys keys = kS3Keys;
  keys.session_token = "token";
  const HttpHeaders headers = sign_s3_request("GET", "host", "/b/k", {}, kS3Scope, keys);
  EXPECT_EQ(headers.at("x-amz-security-token"), "token");
  EXPECT_NE(headers.at("authorization").find("x-amz-date;x-amz-security-token,"),
            std::string::npos);
}

}  // namespace
}  // namespace phalanx
