using CutoffLen.Tokenization;

namespace CutoffLen.Tests.Data;

public sealed class TokenizedDocumentsTests
{
    [Theory]
    [InlineData(0, 0)]
    [InlineData(1, 0)]
    [InlineData(0, 1)]
    [InlineData(2, 3)]
    public void Any_stretch_is_read_as_if_the_markers_were_text(int before, int after)
    {
        int[] front = [.. Enumerable.Range(1, before)];
        int[] back = [.. Enumerable.Range(11, after)];
        using var corpus = new Corpus([1, 5, 3], new SpecialTokens(null, null, front, back));
        for (var d = 0; d < 3; d++)
        {
            int[] whole = [.. front, .. corpus.Texts[d], .. back];
            Assert.Equal(whole.Length, corpus.Documents.Length(d));
            for (var offset = 0; offset <= whole.Length; offset++)
            {
                for (var end = offset; end <= whole.Length; end++)
                {
                    var tokens = new int[end - offset];
                    corpus.Documents.Read(d, offset, tokens);
                    Assert.Equal(whole[offset..end], tokens);
                }
            }

            Assert.Throws<ArgumentOutOfRangeException>(() => corpus.Documents.Read(d, 1, new int[whole.Length]));
        }
    }

    [Fact]
    public void The_stream_of_all_documents_is_counted_with_markers()
    {
        using var corpus = new Corpus([1, 5, 3], new SpecialTokens(null, null, [1], [2, 2]));
        Assert.Equal([0L, 4L, 12L], Enumerable.Range(0, 3).Select(corpus.Documents.Start));
        Assert.Equal((18L, 9L), (corpus.Documents.Tokens, corpus.Documents.SpecialTokens));
        Assert.Equal(
            [.. Enumerable.Repeat(0, 4), .. Enumerable.Repeat(1, 8), .. Enumerable.Repeat(2, 6)],
            Enumerable.Range(0, 18).Select(index => corpus.Documents.At(index)));
    }
}
