namespace CutoffLen.Evaluation.Statistics;

/// <summary>What nothing else beats in one respect without losing in the other.</summary>
public static class ParetoFront
{
    /// <summary>Indices of the items that no other one beats: none reaches as far for less, or farther for as little; by reach.</summary>
    /// <param name="items">Reach, more being better, and price, less being better.</param>
    public static IReadOnlyList<int> Of(IReadOnlyList<(double Reach, double Price)> items)
    {
        var front = new List<int>();
        var least = double.PositiveInfinity;
        foreach (var (index, item) in items.Index().OrderByDescending(i => i.Item.Reach).ThenBy(i => i.Item.Price))
        {
            if (item.Price < least)
            {
                front.Add(index);
                least = item.Price;
            }
        }

        front.Reverse();
        return front;
    }
}
