using CutoffLen.Common;
using FsCheck;
using FsCheck.Fluent;

namespace CutoffLen.Tests.Configuration;

public sealed class LengthsTests
{
    [Theory]
    [InlineData("8192", 8192)]
    [InlineData("1", 1)]
    [InlineData("1k", 1024)]
    [InlineData("32K", 32768)]
    [InlineData("1m", 1048576)]
    [InlineData(" 2k ", 2048)]
    [InlineData("2147483647", int.MaxValue)]
    public void One_length_is_a_number_with_an_optional_unit(string text, int expected) =>
        Assert.Equal(expected, Lengths.ParseOne(text));

    [Theory]
    [InlineData("1k..32k", new[] { 1024, 2048, 4096, 8192, 16384, 32768 })]
    [InlineData("1k..8k:1k", new[] { 1024, 2048, 3072, 4096, 5120, 6144, 7168, 8192 })]
    [InlineData("512,2k,6k", new[] { 512, 2048, 6144 })]
    [InlineData("4k", new[] { 4096 })]
    [InlineData("6k, 512 ,512", new[] { 512, 6144 })]
    [InlineData("256,1k..4k", new[] { 256, 1024, 2048, 4096 })]
    [InlineData("1k..1k", new[] { 1024 })]
    public void Lists_and_ranges_are_ascending_and_without_repeats(string text, int[] expected) =>
        Assert.Equal(expected, Lengths.Parse(text));

    [Theory]
    [InlineData("1k..6k", new[] { 1024, 2048, 4096, 6144 })]
    [InlineData("10..20:7", new[] { 10, 17, 20 })]
    public void A_range_contains_its_end_even_when_no_step_meets_it(string text, int[] expected) =>
        Assert.Equal(expected, Lengths.Parse(text));

    [Theory]
    [InlineData("")]
    [InlineData("k")]
    [InlineData("0")]
    [InlineData("0k")]
    [InlineData("-1")]
    [InlineData("1.5k")]
    [InlineData("1e3")]
    [InlineData("8 k x")]
    [InlineData("1k,")]
    [InlineData("1k..")]
    [InlineData("..4k")]
    [InlineData("1k..2k..3k")]
    [InlineData("1k..4k:0")]
    [InlineData("1k..4k:1k:1k")]
    [InlineData("1k:2k")]
    public void What_is_no_length_is_refused_with_the_allowed_forms(string text)
    {
        var error = Assert.Throws<UserException>(() => Lengths.Parse(text));
        Assert.Contains("1k..32k (doubling)", error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("8k..1k", "backwards")]
    [InlineData("3g", "is not a length")]
    [InlineData("2147483648", "too long")]
    [InlineData("2048m", "too long")]
    [InlineData("99999999999999999999", "is not a length")]
    [InlineData("1..1m:1", "larger step")]
    public void Errors_name_what_is_wrong(string text, string expected) =>
        Assert.Contains(expected, Assert.Throws<UserException>(() => Lengths.Parse(text)).Message, StringComparison.Ordinal);

    [Theory]
    [InlineData(8192, "8k")]
    [InlineData(6000, "6000")]
    [InlineData(1 << 20, "1m")]
    [InlineData(1536 * 1024, "1536k")]
    public void Formatting_is_the_shortest_writing(int length, string expected) =>
        Assert.Equal(expected, Lengths.Format(length));

    [Fact]
    public void Every_length_survives_formatting_and_parsing() =>
        Prop.ForAll(Arb.From(Gen.Choose(1, int.MaxValue)), length => Lengths.ParseOne(Lengths.Format(length)) == length)
            .QuickCheckThrowOnFailure();

    [Fact]
    public void Any_text_gives_lengths_or_a_user_error() =>
        Prop.ForAll<string?>(text =>
        {
            try
            {
                return Lengths.Parse(text ?? "").All(length => length >= 1);
            }
            catch (UserException)
            {
                return true;
            }
        }).QuickCheckThrowOnFailure();
}
