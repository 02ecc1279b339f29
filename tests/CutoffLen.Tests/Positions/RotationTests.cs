using CutoffLen.Common;
using CutoffLen.Positions;

namespace CutoffLen.Tests.Positions;

public sealed class RotationTests
{
    [Fact]
    public void More_tokens_than_a_table_holds_are_refused_with_the_most()
    {
        const int half = 1 << 20;
        var fault = Assert.Throws<UserException>(() => Rotation.Of(new double[4096], half, _ => throw new InvalidOperationException("no table was to be begun")));
        Assert.Contains($"4096 tokens is too long; with heads of {2 * half} elements the most is {Array.MaxLength / half}", fault.Message);
    }
}
