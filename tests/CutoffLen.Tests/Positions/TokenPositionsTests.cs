using CutoffLen.Positions;

namespace CutoffLen.Tests.Positions;

public sealed class TokenPositionsTests
{
    [Fact]
    public void Padding_tokens_are_documents_of_their_own()
    {
        var padded = new TokenPositions([5, 6, 0, 9], [0, 2]).Padded(6);
        Assert.Equal([5, 6, 0, 9, 0, 0], padded.Ids);
        Assert.Equal([0, 2, 4, 5], padded.DocumentStarts);
    }
}
